//! R and C: who sets them, and when.
//!
//! ```text
//!   Software   an access that lacks one is a storage interrupt
//!   AtOnce     it is set before the access is done, if the entry is still the leaf that was cached
//!   Late       the access is done; the entry is updated some time later, at the latest when a flush that names the translation completes,
//!              and only if it still is a valid leaf of that frame
//! ```
//!
//! Late is what processors do, and what those overlook who read R or C before the flush has completed.

use crate::Arena;
use crate::translate::{C, R, Translation};
use hv_core::mmu::Flush;
use hv_core::sync::Ordering;

/// Who sets R and C, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Recording {
    /// Software: the hardware raises an interrupt.
    Software = 0,
    /// The hardware, before the access is done.
    AtOnce = 1,
    /// The hardware, some time after the access was done.
    Late = 2,
}

impl Recording {
    pub(crate) const fn from_raw(raw: u64) -> Self {
        match raw {
            0 => Self::Software,
            1 => Self::AtOnce,
            _ => Self::Late,
        }
    }
}

/// An update of R or C that is still under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) of: Translation,
    pub(crate) bits: u64,
}

impl Pending {
    /// Whether `flush` has to wait for it.
    pub(crate) fn is_covered(&self, flush: &Flush) -> bool {
        match *flush {
            Flush::Partition { lpid } => self.of.lpid == lpid,
            Flush::Range { lpid, from, to, size } => {
                self.of.lpid == lpid && self.of.size == size && (from.raw()..to.raw()).contains(&self.of.page)
            }
        }
    }

    /// Sets the bits, unless the entry maps something else by now, or nothing.
    pub(crate) fn deliver(&self, arena: &Arena) -> bool {
        update(arena, &self.of, self.bits, |entry| entry >> 62 == 3 && maps_the_same(entry, &self.of))
    }
}

/// Sets `bits` in the entry of `of` if it differs from the cached one in R and C only.
pub(crate) fn set_now(arena: &Arena, of: &Translation, bits: u64) -> bool {
    update(arena, of, bits, |entry| entry | R | C == of.leaf | R | C)
}

fn maps_the_same(entry: u64, of: &Translation) -> bool {
    Translation { leaf: entry, ..*of }.frame() == of.frame()
}

fn update(arena: &Arena, of: &Translation, bits: u64, allowed: impl Fn(u64) -> bool) -> bool {
    let cell = &arena.words(of.cell, 1)[0];
    let set = |raw: u64| allowed(u64::from_be(raw)).then_some(raw | bits.to_be());
    cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, set).is_ok()
}
