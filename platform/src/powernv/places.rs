//! Each partition's [`Place`], which has the protocol.

use crate::partitions::ENTRIES;
use hv_core::mmu::places::Place;
use ppc64_arch::spr::hypervisor;

/// By LPID.
static PLACES: [Place; ENTRIES] = [const { Place::new() }; ENTRIES];

/// This CPU's number (PIR).
fn me() -> u32 {
    crate::decrementer::low_word(hypervisor::pir())
}

/// This CPU is about to load LPIDR with `lpid`.
pub fn take(lpid: u32) {
    if let Some(place) = PLACES.get(lpid as usize) {
        place.take(me());
    }
}

/// Whether all that can be cached of the partition is cached on this CPU, and LPIDR names it here, as `tlbiel` needs it. To be asked behind a `ptesync`. A partition
/// that has no place can be anywhere.
pub fn is_only_here(lpid: u32) -> bool {
    PLACES.get(lpid as usize).is_some_and(|place| place.is_only(me())) && hypervisor::lpidr() == u64::from(lpid)
}
