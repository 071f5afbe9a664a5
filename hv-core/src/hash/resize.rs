//! H_RESIZE_HPT_PREPARE and H_RESIZE_HPT_COMMIT: the guest asks for a table of another size, waits until it is ready, and goes over to it (LoPAR, "Hash Page Table Resize Option").
//!
//! ```text
//!   none ── prepare ──► some of it is cleared ── prepare, again and again ──► ready ── commit ──► present; none
//!     ▲                          │  another size, or 0                          │
//!     └──────────────────────────┴──────────────────────────────────────────────┘
//! ```
//!
//! Whatever else than the same is asked for gives up the one that was being made, also if it is refused: so PAPR says.
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
    /// `H_RESOURCE`: the guest may not have one of that size, or there is no memory for it.
    Resource,
    /// `H_CLOSED`: no such table was prepared.
    Closed,
    /// `H_PTEG_FULL`: two entries that have to stay would have the same place in it. The present one stays, and it is given up.
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

    /// Whether these are its flags, of which there are none, and its size.
    const fn is_for(&self, flags: u64, shift: u64) -> bool {
        flags == 0 && self.parts.shape.order() as u64 == shift
    }
}

impl<'m, T: Translations> Tables<'m, T> {
    /// Does a piece of the work for a table of `1 << shift` bytes, in place of any other that was being made; or drops that one, if `shift` is 0.
    ///
    /// # Errors
    /// [`Unresized::LongBusy`], [`Unresized::Parameter`], [`Unresized::Resource`].
    pub fn prepare(&self, flags: u64, shift: u64) -> Result<(), Unresized> {
        // Another vCPU is at it, or goes over to it.
        let mut pending = self.pending.try_lock().ok_or(Unresized::LongBusy)?;
        if let Some(other) = pending.take_if(|pending| !pending.is_for(flags, shift)) {
            self.give(other.parts);
        }
        let Some(shape) = wanted(flags, shift)? else { return Ok(()) };
        if pending.is_none() {
            let parts = if shape > self.most() { None } else { self.memory_for(shape) };
            *pending = Some(Preparation { parts: parts.ok_or(Unresized::Resource)?, cleared: 0 });
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
    ///
    /// # Errors
    /// [`Unresized::Closed`], [`Unresized::Busy`], [`Unresized::GroupFull`].
    pub unsafe fn commit(
        &self,
        flags: u64,
        shift: u64,
        alone: impl FnOnce(&mut dyn FnMut()),
        tell: impl Fn(),
    ) -> Result<(), Unresized> {
        let mut pending = self.pending.try_lock().ok_or(Unresized::Busy)?;
        if !pending.as_ref().is_some_and(|pending| pending.is_for(flags, shift)) {
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

/// The size that is asked for; `None`: none.
fn wanted(flags: u64, shift: u64) -> Result<Option<Shape>, Unresized> {
    match u32::try_from(shift) {
        _ if flags != 0 => Err(Unresized::Parameter),
        Ok(0) => Ok(None),
        Ok(order) => Shape::new(order).ok_or(Unresized::Parameter).map(Some),
        Err(_) => Err(Unresized::Parameter),
    }
}
