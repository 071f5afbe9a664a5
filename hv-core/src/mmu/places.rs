//! On which CPUs a partition has been, so that flushes need not go further.
//!
//! A CPU caches translations of a partition only from the moment at which LPIDR names it. Before that it writes itself into the partition's place:
//!
//! ```text
//!   nobody ──► this CPU ──► many              and never back: what a CPU once cached may be there still
//!
//!   take a CPU:  place := me, or many ; fence ; LPIDR := partition ; walk the tables
//!   flush:       store the entries    ; fence ; place = me and nobody else?  tlbiel here, otherwise tlbie
//! ```
//!
//! That is store buffering once more. Either the one that flushes sees the other CPU in the place, and its `tlbie` reaches that CPU. Or the fence of the one that comes is after
//! the flush's own, and its walks see the entries as they are now. Whoever takes a CPU has none of the partition's translations before it stands in the place, so there is nothing that a
//! flush which missed it would have had to drop.
//!
//! "Nobody" is flushed everywhere as well: before us the partition's number may have been somebody else's.

use crate::sync::{AtomicU64, Ordering, fence};

const NOBODY: u64 = 0;
const MANY: u64 = u64::MAX;

/// The CPUs on which one partition has been: none, one, or more than one.
///
/// ```
/// use hv_core::mmu::places::Place;
///
/// let place = Place::new();
/// place.take(4); // CPU 4 is about to run the partition
/// assert!(place.is_only(4)); // a flush by CPU 4 may stay there
/// place.take(5);
/// assert!(!place.is_only(4) && !place.is_only(5)); // from now on flushes go everywhere
/// ```
#[derive(Debug, Default)]
pub struct Place(AtomicU64);

impl Place {
    /// Nobody has been there.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(NOBODY))
    }

    /// Nobody has been there. Loom's atomics are not made by constants.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU64::new(NOBODY))
    }

    /// CPU number `me` is about to load LPIDR with the partition. Whatever it walks or caches of the partition has to come after this call.
    pub fn take(&self, me: u32) {
        let me = number(me);
        // Relaxed: the fence orders it.
        match self.0.compare_exchange(NOBODY, me, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {}
            Err(was) if was == me || was == MANY => {}
            // Somebody else's, and from there it only ever becomes this.
            Err(_) => self.0.store(MANY, Ordering::Relaxed),
        }
        // The place before the walks; pairs with the fence in `is_only`.
        fence(Ordering::SeqCst);
    }

    /// Whether all that can be cached of the partition is cached on CPU number `me`, which asks: then its flush may stay there.
    ///
    /// The entries that the flush is for have been stored before. That a table walk sees them is still the caller's business: `ptesync` (Power ISA 3.1B Book III 6.10).
    #[must_use]
    pub fn is_only(&self, me: u32) -> bool {
        // The entries before the place; pairs with the fence in `take`.
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) == number(me)
    }
}

/// A CPU as it stands in a place: neither nobody nor many.
const fn number(cpu: u32) -> u64 {
    cpu as u64 + 1
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_was_nobody_is_alone() {
        assert!(!Place::new().is_only(0));
    }

    #[test]
    fn whoever_comes_again_is_still_alone() {
        let place = Place::new();
        place.take(0);
        place.take(0);
        assert!(place.is_only(0));
        assert!(!place.is_only(1));
    }

    #[test]
    fn where_many_were_nobody_is_alone_again() {
        let place = Place::new();
        [0, u32::MAX, 0].into_iter().for_each(|cpu| place.take(cpu));
        assert!(!place.is_only(0) && !place.is_only(u32::MAX));
    }
}
