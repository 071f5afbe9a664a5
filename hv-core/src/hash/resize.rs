//! H_RESIZE_HPT_PREPARE and H_RESIZE_HPT_COMMIT: the guest asks for a table of another size, waits until it is ready, and goes over to it.
//!
//! ```text
//!   none ── prepare ──► some of it is cleared ── prepare, again and again ──► ready ── commit ──► present; none
//!     ▲                          │  another size, or 0                          │
//!     └──────────────────────────┴──────────────────────────────────────────────┘
//! ```
//!
//! Each call clears a piece, so none takes long, and a guest that asks for the next one has to come for it: what this costs is its own time. There is at most one table beside the present one.

use super::machine::Translations;
use super::rehash::Full;
use super::table::Parts;
use super::tables::Tables;
use ppc64_arch::hash::Shape;

/// Doublewords that one call clears: 4 MiB.
const PIECE: usize = 1 << 19;

/// Why there is no other table yet, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresized {
    /// `H_LONG_BUSY_ORDER_1_MSEC`: it is not ready; to be asked again.
    LongBusy,
    /// `H_BUSY`: it cannot be gone over to yet.
    Busy,
    /// `H_PARAMETER`: there are no tables of that size.
    Parameter,
    /// `H_RESOURCE`: the guest may not have one of that size.
    Resource,
    /// `H_NO_MEM`: there is no memory for it.
    NoMemory,
    /// `H_CLOSED`: no table of that size was prepared.
    Closed,
    /// `H_PTEG_FULL`: what has to stay has no room in it. The present one stays.
    GroupFull,
}

/// A table that is being made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preparation<'m> {
    parts: Parts<'m>,
    /// So many doublewords are cleared.
    cleared: usize,
}

impl<'m> Preparation<'m> {
    pub const fn parts(&self) -> Parts<'m> {
        self.parts
    }

    /// One that is ready.
    #[cfg(all(test, loom))]
    pub fn ready(parts: Parts<'m>) -> Self {
        Self { parts, cleared: parts.words() }
    }

    const fn is_ready(&self) -> bool {
        self.cleared == self.parts.words()
    }

    const fn is_of(&self, shift: u64) -> bool {
        self.parts.shape.order() as u64 == shift
    }
}

impl<'m, T: Translations> Tables<'m, T> {
    /// Does a piece of the work for a table of `1 << shift` bytes, in place of any other that was being made; or drops that one, if `shift` is 0.
    pub(super) fn prepare(&self, shift: u64) -> Result<(), Unresized> {
        let shape = u32::try_from(shift).ok().and_then(Shape::new);
        if shape.is_none() && shift != 0 {
            return Err(Unresized::Parameter);
        }
        // Another vCPU is at it, or goes over to it.
        let mut pending = self.pending.try_lock().ok_or(Unresized::LongBusy)?;
        if let Some(other) = pending.take_if(|pending| !pending.is_of(shift)) {
            self.give(other.parts);
        }
        let Some(shape) = shape else { return Ok(()) };
        if pending.is_none() {
            if shape > self.most() {
                return Err(Unresized::Resource);
            }
            let parts = self.memory_for(shape).ok_or(Unresized::NoMemory)?;
            *pending = Some(Preparation { parts, cleared: 0 });
        }
        match pending.as_mut() {
            Some(preparation) if !preparation.is_ready() => {
                preparation.cleared = preparation.parts.clear(preparation.cleared, PIECE);
                Err(Unresized::LongBusy)
            }
            _ => Ok(()),
        }
    }

    /// Goes over to the table of `1 << shift` bytes that was made ready. `alone` does what it is given while everything stands still ([`Space::alone`](crate::mmu::Space)); `tell` tells hardware which table is the present one.
    ///
    /// # Safety
    /// `alone` closes this table, waits until everybody who is there has gone, keeps everybody else out who may evict, and opens it again. When `tell` returns hardware knows no other table.
    pub(super) unsafe fn commit(
        &self,
        shift: u64,
        alone: impl FnOnce(&mut dyn FnMut()),
        tell: impl Fn(),
    ) -> Result<(), Unresized> {
        let mut pending = self.pending.try_lock().ok_or(Unresized::Busy)?;
        if !pending.as_ref().is_some_and(|pending| pending.is_of(shift)) {
            return Err(Unresized::Closed);
        }
        let ready = pending.take_if(|pending| pending.is_ready()).ok_or(Unresized::Busy)?;
        let (mut next, mut unused, mut end) = (Some(self.table(&ready)), None, Ok(()));
        alone(&mut || {
            let Some(next) = next.take() else { return };
            // SAFETY: 1. The caller vouches for `alone`.
            unused = Some(match unsafe { self.exchange(next) } {
                Ok(old) => {
                    tell();
                    old
                }
                Err((Full, next)) => {
                    end = Err(Unresized::GroupFull);
                    next
                }
            });
        });
        if let Some(table) = unused {
            self.give(table.parts());
        }
        end
    }

    /// Drops the table that was being made, for a guest that begins anew.
    pub fn forget_resize(&self) {
        if let Some(other) = self.pending.lock().take() {
            self.give(other.parts);
        }
    }
}
