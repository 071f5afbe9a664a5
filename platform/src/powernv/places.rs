//! On which CPUs a partition has been, so that flushes need not go further.
//!
//! A CPU caches translations of a partition only from the moment at which LPIDR names it. Before that it writes itself into the partition's place:
//!
//! ```text
//!   nobody ──► this CPU ──► many              and never back: what a CPU once cached may be there still
//!
//!   take a CPU:  place := me, or many ; fence ; LPIDR := partition ; walk the tables
//!   flush:       store the entries    ; ptesync ; place = me and nobody else?  tlbiel here, otherwise tlbie
//! ```
//!
//! That is store buffering once more. Either the one that flushes sees the other CPU in the place, and its `tlbie` reaches that CPU. Or the fence of the one that comes is after
//! the flush's own, and its walks see the entries as they are now. Whoever takes a CPU has none of the partition's translations before it stands in the place, so there is nothing that a
//! flush which missed it would have had to drop.
//!
//! "Nobody" is flushed everywhere as well: before us the partition's number may have been somebody else's.

use crate::partitions::ENTRIES;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use ppc64_arch::spr::hypervisor;

const NOBODY: u32 = 0;
const MANY: u32 = u32::MAX;

static PLACES: [AtomicU32; ENTRIES] = [const { AtomicU32::new(NOBODY) }; ENTRIES];

/// This CPU, as it stands in a place: neither nobody nor many.
fn me() -> u32 {
    crate::decrementer::low_word(hypervisor::pir()).saturating_add(1).min(MANY - 1)
}

/// This CPU is about to load LPIDR with `lpid`.
pub fn take(lpid: u32) {
    if let Some(place) = PLACES.get(lpid as usize) {
        // Relaxed: the fence orders it.
        _ = place.try_update(Ordering::Relaxed, Ordering::Relaxed, |was| next(was, me()));
    }
    // The place before the walks; pairs with `ptesync` in a flush.
    fence(Ordering::SeqCst);
}

/// What a place becomes when `me` comes, if it changes.
fn next(was: u32, me: u32) -> Option<u32> {
    match was {
        NOBODY => Some(me),
        MANY => None,
        same if same == me => None,
        _ => Some(MANY),
    }
}

/// Whether all that can be cached of the partition is cached on this CPU, and LPIDR names it here, as `tlbiel` needs it. To be asked behind a `ptesync`.
pub fn is_only_here(lpid: u32) -> bool {
    let place = PLACES.get(lpid as usize).map_or(MANY, |place| place.load(Ordering::Relaxed));
    place == me() && hypervisor::lpidr() == u64::from(lpid)
}
