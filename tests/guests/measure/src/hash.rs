//! What a guest with a hashed page table comes to: calls about its table, and the two kinds of storage interrupt, one that is resolved and one
//! that the guest is told of.
//!
//! Everything here runs in real mode but the loads and stores that are measured: they are translated, by one segment of 256 MiB. The segment's number ends in zeros,
//! so that the hash of its page n is n, and each page has a group of the table to itself. A [`Region`] is 8 MiB of it, which all have the same AVA.

use core::arch::asm;

use crate::console::say;
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::phases::{self, Zone, fail, skip};
use crate::timing::{Entries, Event, print};
use crate::trap;

const REMOVE: u64 = 0x04;
const ENTER: u64 = 0x08;
const READ: u64 = 0x0c;
const PROTECT: u64 = 0x18;

/// H_ENTER: this place, and no other of its group.
const EXACT: u64 = 1 << 39;
/// H_REMOVE, H_PROTECT: if the entry has this name.
const NAMED: u64 = 1 << 31;
/// H_PROTECT: loads alone.
const READ_ONLY: u64 = 3;

/// Places of a group.
const GROUP: u64 = 8;
/// Pages of a region: as many as have one AVA.
const PAGES: u64 = 2048;
/// Where the segment begins.
const SEGMENT: u64 = 1 << 60;
/// Its number.
const VSID: u64 = 0x7_0000;
/// An entry of the segment buffer is valid.
const SLB_VALID: u64 = 1 << 27;
/// Doubleword 1 of an entry: memory, referenced and changed, everybody may load and store.
const OPEN: u64 = 0x192;

/// 8 MiB of the segment, by number. Each phase has its own.
#[derive(Clone, Copy)]
struct Region(u64);

impl Region {
    const ABSENT: Self = Self(4);
    const EXACT: Self = Self(5);
    const ANY: Self = Self(6);
    const LAST: Self = Self(7);
    const THERE: Self = Self(8);
    const NOTHING: Self = Self(9);

    fn address(self) -> u64 {
        SEGMENT + self.0 * PAGES * PAGE
    }

    /// Doubleword 0 of its pages' entries: AVA is the virtual address without its low 23 bits.
    fn name(self) -> u64 {
        ((((VSID << 28) | (self.0 * PAGES * PAGE)) >> 23) << 7) | 1
    }

    /// A call about the entry in place `place` of each page's group.
    fn calls(self, number: u64, flags: u64, place: u64) -> Entries {
        let index = self.0 * PAGES * GROUP + place;
        Entries { number, flags, index, words: [self.name() & !0x7f, 0], next_index: GROUP, next_word: 0 }
    }

    /// H_ENTER for the pages of a zone.
    fn enters(self, zone: Zone, flags: u64, place: u64) -> Entries {
        Entries { words: [self.name(), zone.from | OPEN], next_word: PAGE, ..self.calls(ENTER, flags, place) }
    }

    fn loads(self) -> Event {
        Event::MappedLoad(self.address(), PAGE)
    }
}

/// Everything, in order.
pub fn all(machine: &Machine) {
    phases::null_call(machine);
    let Some(real) = Zone::find(machine, machine.end, PAGE) else { return skip("zero-write-4k", "no free memory") };
    real.measure(machine, "zero-write-4k", real.stores());
    let zone = |below| Zone::find(machine, below, PAGE).filter(|zone| zone.pages >= PAGES);
    let Some(fresh) = zone(real.from) else { return skip("enter", "too little memory") };
    let Some(there) = zone(fresh.from) else { return skip("mapped-touch", "too little memory") };
    set_segment();
    entries(machine, fresh);
    faults(machine, there);
}

/// The calls. The zone's pages are not there yet.
fn entries(machine: &Machine, zone: Zone) {
    measure(machine, "enter-absent", Region::ABSENT.enters(zone, 0, 0));
    let stores = Event::MappedStore(Region::ABSENT.address(), PAGE);
    print(machine, "mapped-zero-write", stores.cost(PAGES), PAGES);
    print(machine, "mapped-second-touch", stores.cost(PAGES), PAGES);
    measure(machine, "enter", Region::ANY.enters(zone, 0, 0));
    measure(machine, "enter-exact", Region::EXACT.enters(zone, EXACT, GROUP - 1));
    for place in 0..GROUP - 1 {
        check("enter-last", Region::LAST.enters(zone, EXACT, place));
    }
    measure(machine, "enter-last", Region::LAST.enters(zone, 0, 0));
    let exact = |number, flags| Region::EXACT.calls(number, flags, GROUP - 1);
    measure(machine, "read", exact(READ, 0));
    measure(machine, "protect", exact(PROTECT, NAMED | READ_ONLY));
    measure(machine, "remove", exact(REMOVE, NAMED));
}

/// The storage interrupts, one in each page: an entry whose page is there by now, and no entry at all.
fn faults(machine: &Machine, zone: Zone) {
    check("mapped-touch", Region::THERE.enters(zone, 0, 0));
    (0..PAGES).for_each(|page| memory::write(zone.from + page * PAGE, page));
    print(machine, "mapped-touch", Region::THERE.loads().cost(PAGES), PAGES);
    let mut ticks = 0;
    let nothing = Region::NOTHING.address();
    let (many, last) = trap::told(|| ticks = Event::Told(nothing, PAGE).cost(PAGES));
    // Half of them traps.
    if (many, last) != (2 * PAGES, nothing + (PAGES - 1) * PAGE) {
        say!("measure: FAIL told of {many} interrupts, the last at {last:#x}");
    }
    print(machine, "told", ticks, PAGES);
}

fn measure(machine: &Machine, name: &str, calls: Entries) {
    let ticks = check(name, calls);
    print(machine, name, ticks, PAGES);
}

/// Makes calls that all have to succeed.
fn check(name: &str, calls: Entries) -> i64 {
    let (ticks, codes) = calls.cost(PAGES);
    if codes != 0 {
        fail(name, codes.cast_signed());
    }
    ticks
}

/// Gives the segment its number: entry 0 of the segment buffer.
fn set_segment() {
    // SAFETY: 1. Nothing of ours is translated by it.
    unsafe { asm!("slbmte {0}, {1}", "isync", in(reg) VSID << 12, in(reg) SEGMENT | SLB_VALID, options(nostack)) }
}
