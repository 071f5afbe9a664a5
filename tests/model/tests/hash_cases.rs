//! A hash guest's table on hostile hardware: what is worth a name.

use hv_core::hash::calls::flags;
use hv_core::hash::{Backing, Fault, Hpt, HptMemory, Misfit, Outcome, Parts, Recorded, Refusal};
use hv_core::mmu::{self, Reflect, Resolution};
use model::hash::LPID;
use model::hash::hardware::{Access, Hardware, Shelf};
use model::hash::regions::{DEVICE, END, Regions};
use ppc64_arch::addr::{EffAddr, GuestReal, HostReal};
use ppc64_arch::hash::table::Hashed;
use ppc64_arch::hash::{PageSize, PaprEntry, Segment, Shape, VirtualAddress, VsidWord, Word0, pate};
use ppc64_arch::trap::Dsisr;

type Machine = Hardware<'static>;
type Table = Hpt<'static, Machine>;

/// A machine, and an empty table on it.
fn table(order: u32) -> (&'static Machine, Table) {
    let machine: &Machine = Box::leak(Box::new(Hardware::new(Box::leak(Box::new(Shelf::default())))));
    let shape = Shape::new(order).expect("a size");
    let parts: Parts<'static> = machine.take(shape, Parts::heads_for(END)).expect("memory for it");
    let table = Hpt::new(machine, LPID, parts, END).expect("parts that fit");
    machine.search_in(pate::partition_scoped(parts.at, shape, PageSize::Size4K));
    (machine, table)
}

/// The virtual page that these tests are about, of 4 KiB in a 1 TiB segment.
const VSID: u64 = 0x1234;
const EA: u64 = 0x56_789a_b000;
/// Its first group's places, and what it maps: read and write, coherent.
const WORD1: u64 = 0x5000 | 0x10 | 2;

fn asdr() -> VsidWord {
    VsidWord::of(Segment::Size1T, VSID, PageSize::Size4K)
}

fn va() -> VirtualAddress {
    asdr().translate(EffAddr::new(EA)).expect("68 bits")
}

fn group(table: &Table) -> u64 {
    table.shape().group(Hashed::of(va(), Segment::Size1T, PageSize::Size4K), false)
}

fn claim(word1: u64) -> PaprEntry {
    PaprEntry { word0: Word0::naming(va()).bits() | 1 << 62 | 1, word1 }
}

fn fault(access: mmu::Access) -> Fault {
    Fault { ea: EffAddr::new(EA + 8), asdr: asdr(), access, problem_state: false, amr: 0, iamr: 0 }
}

fn access(machine: &Machine, store: bool) -> Option<u64> {
    let at = VirtualAddress::new(va().raw() | 8);
    machine.access(Access { at, segment: Segment::Size1T, base: PageSize::Size4K, store })
}

/// A table with the page entered, whose memory is there or not.
fn entered(word1: u64, there: bool) -> (&'static Machine, Table, Regions, u64) {
    let (machine, table) = table(18);
    let memory = Regions::default();
    if there {
        assert_eq!(memory.prepare(GuestReal::new(0x5000), PageSize::Size4K, mmu::Access::Write), Resolution::Resume);
    }
    let index = table.enter(&memory, 0, group(&table), claim(word1)).expect("a free place");
    (machine, table, memory, index)
}

#[test]
fn an_entry_whose_page_is_there_is_used_at_once() {
    let (machine, _, memory, _) = entered(WORD1, true);
    let frame = memory.region(0x5000).expect("it is there").frame;
    assert_eq!(access(machine, true), Some(frame + 0x5008));
}

#[test]
fn an_entry_whose_page_is_not_there_is_valid_to_the_guest_alone() {
    let (machine, table, memory, index) = entered(WORD1, false);
    assert_eq!(table.read(0, index).expect("in the table").entries(), [claim(WORD1)]);
    assert_eq!(access(machine, false), None);
    assert_eq!(table.fault(&memory, &fault(mmu::Access::Read)), Outcome::Resume);
    assert!(access(machine, false).is_some() && access(machine, true).is_none());
    assert_eq!(table.fault(&memory, &fault(mmu::Access::Write)), Outcome::Resume);
    assert!(access(machine, true).is_some());
}

#[test]
fn a_late_store_of_r_or_c_undoes_no_change_of_protection() {
    let (machine, table, _, index) = entered(WORD1, true);
    // R and C are pending: bytes that hold PP and a part of the key as they are now.
    assert!(access(machine, true).is_some());
    assert_eq!(table.protect(3 | 0xe00, index, 0), Ok(()));
    machine.settle(0);
    machine.settle(0);
    let seen = table.read(0, index).expect("in the table").entries()[0];
    assert_eq!(seen.word1, 0x5000 | 0xe00 | 0x180 | 0x10 | 3);
    assert_eq!(machine.raw(index).word1.bits() & 0xf83, 0xf83);
}

#[test]
fn what_was_recorded_until_the_flush_is_in_what_h_remove_tells() {
    let (machine, table, _, index) = entered(WORD1, true);
    assert!(access(machine, true).is_some());
    assert_eq!(table.remove(0, index, 0), Ok(claim(WORD1 | 0x180)));
    assert_eq!(access(machine, false), None);
    machine.settle(0);
    assert_eq!(machine.raw(index).word1.bits(), 0);
}

#[test]
fn the_guest_clears_r_and_c_each_by_itself() {
    let (machine, table, _, index) = entered(WORD1 | 0x180, true);
    assert_eq!(table.clear(Recorded::Referenced, index), Ok(WORD1 | 0x180));
    assert_eq!(table.clear(Recorded::Changed, index), Ok(WORD1 | 0x80));
    assert_eq!(machine.raw(index).word1.bits() & 0x180, 0);
    let flushes = machine.flushes();
    assert_eq!(table.clear(Recorded::Changed, index), Ok(WORD1));
    assert_eq!(machine.flushes(), flushes, "there was nothing to clear");
}

#[test]
fn memory_that_leaves_is_reached_by_no_translation() {
    let (machine, table, memory, index) = entered(WORD1, true);
    let before = access(machine, true);
    let (from, to) = memory.take(0x5000);
    let recorded = table.evict(from, to);
    assert_eq!((recorded.bits(), access(machine, false)), (0x180, None));
    assert_eq!(table.fault(&memory, &fault(mmu::Access::Read)), Outcome::Resume);
    assert!(access(machine, false).is_some_and(|now| Some(now) != before));
    assert_eq!(table.read(0, index).expect("in the table").entries()[0].word1, WORD1 | 0x180);
}

#[test]
fn one_flush_is_enough_for_many_entries_of_a_page() {
    let (machine, table) = table(18);
    let memory = Regions::default();
    assert_eq!(memory.prepare(GuestReal::new(0), PageSize::Size4K, mmu::Access::Read), Resolution::Resume);
    for group in 0..50 {
        assert_eq!(table.enter(&memory, 0, group * 8, claim(WORD1)), Ok(group * 8));
    }
    let flushes = machine.flushes();
    table.evict(0, 1 << 24);
    assert_eq!(machine.flushes() - flushes, 4);
    assert!((0..50).all(|group| machine.raw(group * 8).word0.bits() & 1 == 0));
}

#[test]
fn eight_entries_fill_a_group_and_no_more() {
    let (_, table, memory, first) = entered(WORD1, true);
    for place in 1..8 {
        assert_eq!(table.enter(&memory, 0, first + 7, claim(WORD1)), Ok(first + place));
    }
    assert_eq!(table.enter(&memory, 0, first, claim(WORD1)), Err(Refusal::GroupFull));
    assert_eq!(table.enter(&memory, flags::EXACT, first + 3, claim(WORD1)), Err(Refusal::GroupFull));
    assert!(table.remove(flags::AVPN, first + 3, claim(0).word0 & PaprEntry::COMPARED).is_ok());
    assert_eq!(table.enter(&memory, flags::EXACT, first + 3, claim(WORD1)), Ok(first + 3));
}

#[test]
fn conditions_that_do_not_hold_leave_the_entry_as_it_was() {
    let (_, table, _, index) = entered(WORD1, true);
    let name = claim(0).word0 & PaprEntry::COMPARED;
    assert_eq!(table.remove(flags::AVPN, index, name ^ 0x80), Err(Refusal::NotFound));
    assert_eq!(table.remove(flags::ANDCOND, index, 1), Err(Refusal::NotFound));
    assert_eq!(table.protect(flags::AVPN, index, name ^ 1 << 62), Err(Refusal::NotFound));
    assert_eq!(table.read(0, index).expect("in the table").entries(), [claim(WORD1)]);
    assert_eq!(table.remove(flags::AVPN, index, name).map(drop), Ok(()));
}

#[test]
fn pages_that_are_not_the_guests_and_attributes_that_memory_does_not_have_are_refused() {
    let (_, table, memory, index) = entered(WORD1, true);
    for word1 in [
        END | 0x12,
        u64::MAX,
        1 << 57 | WORD1,
        1 << 59 | WORD1,
        0x5002,
        0x5000 | 0x32,
        0x5000 | 0x1a,
        DEVICE | 0x12,
        DEVICE | 0x72,
    ] {
        assert_eq!(table.enter(&memory, 0, index, claim(word1)), Err(Refusal::Parameter), "{word1:#x}");
    }
    assert!(table.enter(&memory, 0, index, claim(DEVICE | 0x2a)).is_ok());
    for flag in flags::NOT_DONE {
        let refused = table.enter(&memory, 1 << (63 - flag), index, claim(WORD1));
        assert_eq!(refused, Err(Refusal::UnsupportedFlag(flag)));
    }
}

#[test]
fn each_kind_of_forbidden_access_is_the_guests_own_interrupt() {
    let causes = |word1: u64, mut fault: Fault, segment: u64, masks: u64| {
        let (_, table, memory, _) = entered(word1, true);
        fault.asdr = VsidWord::new(fault.asdr.raw() | segment);
        (fault.amr, fault.iamr) = (masks, masks);
        table.fault(&memory, &fault)
    };
    let (load, store, fetch) = (fault(mmu::Access::Read), fault(mmu::Access::Write), fault(mmu::Access::Fetch));
    let read_only = 0x5013;
    assert_eq!(causes(read_only, load, 0, 0), Outcome::Resume);
    assert_eq!(causes(read_only, store, 0, 0), Outcome::Reflect(Dsisr::PROTECTION | Dsisr::STORE));
    assert_eq!(causes(WORD1, store, 0, 2 << 62), Outcome::Reflect(Dsisr::KEY | Dsisr::STORE));
    assert_eq!(causes(WORD1 | 4, fetch, 0, 0), Outcome::Reflect(Dsisr::ATTRIBUTE));
    assert_eq!(causes(WORD1, fetch, VsidWord::NO_EXECUTE, 0), Outcome::Reflect(Dsisr::ATTRIBUTE));
    assert_eq!(causes(0x5010, load, VsidWord::SUPERVISOR_KEY, 0), Outcome::Reflect(Dsisr::PROTECTION));
    let elsewhere = Fault { ea: EffAddr::new(EA + 0x1000), ..load };
    assert_eq!(causes(WORD1, elsewhere, 0, 0), Outcome::Reflect(Dsisr::NO_TRANSLATION));
}

#[test]
fn a_store_to_a_slot_that_is_read_only_and_a_device_are_told_apart() {
    let (_, table, memory, _) = entered(WORD1, true);
    let (from, to) = memory.protect(0x5000);
    table.evict(from, to);
    memory.read_only.set(true);
    let refused = Outcome::Memory(Resolution::Reflect(Reflect::ReadOnly));
    assert_eq!(table.fault(&memory, &fault(mmu::Access::Write)), refused);
    assert_eq!(table.fault(&memory, &fault(mmu::Access::Read)), Outcome::Resume);
    let (_, table, memory, _) = entered(DEVICE | 0x2a, true);
    let device = Outcome::Device(GuestReal::new(DEVICE + 8));
    assert_eq!(table.fault(&memory, &fault(mmu::Access::Write)), device);
}

#[test]
fn real_mode_has_its_entries_without_asking_and_loses_them_when_the_guest_says_so() {
    let (machine, table) = table(18);
    let memory = Regions::default();
    let asdr = VsidWord::real_mode(PageSize::Size4K);
    let real = |at| Fault { ea: EffAddr::new(at), asdr, ..fault(mmu::Access::Fetch) };
    assert_eq!(table.fault(&memory, &real(0x3100)), Outcome::Resume);
    assert_eq!(table.fault(&memory, &real(END)), Outcome::Reflect(Dsisr::NO_TRANSLATION));
    let at = asdr.translate(EffAddr::new(0x3100)).expect("68 bits");
    let fetch = Access { at, segment: Segment::Size1T, base: PageSize::Size4K, store: false };
    assert!(machine.access(fetch).is_some());
    let index = table.shape().group(Hashed::of(at, Segment::Size1T, PageSize::Size4K), false);
    let seen = table.read(0, index).expect("in the table").entries()[0];
    assert_eq!(seen.word0 & 0x4001_ffff_ff00_0000, 0x4001_ffff_ff00_0000);
    assert!(table.remove(0, index, 0).is_ok());
    assert_eq!(machine.access(fetch), None);
}

#[test]
fn real_mode_asks_no_class_key() {
    let (_, table) = table(18);
    let (memory, asdr) = (Regions::default(), VsidWord::real_mode(PageSize::Size4K));
    for access in [mmu::Access::Read, mmu::Access::Write, mmu::Access::Fetch] {
        let masked = Fault { ea: EffAddr::new(0x3100), asdr, amr: u64::MAX, iamr: u64::MAX, ..fault(access) };
        assert_eq!(table.fault(&memory, &masked), Outcome::Resume, "{access:?}");
    }
}

#[test]
fn real_mode_finds_room_between_the_guests_entries_unless_all_of_them_are_to_be_kept() {
    let asdr = VsidWord::real_mode(PageSize::Size4K);
    let real = Fault { ea: EffAddr::new(0x3100), asdr, ..fault(mmu::Access::Fetch) };
    let at = asdr.translate(real.ea).expect("68 bits");
    // Both groups are full of entries of another page, with these bits in their first doubleword.
    let crowded = |kept: u64| {
        let (machine, table) = table(18);
        let memory = Regions::default();
        let hash = Hashed::of(at, Segment::Size1T, PageSize::Size4K);
        for group in [false, true].map(|secondary| table.shape().group(hash, secondary)) {
            let entry = PaprEntry { word0: claim(0).word0 | kept, ..claim(WORD1) };
            (0..8).for_each(|place| assert_eq!(table.enter(&memory, 0, group, entry), Ok(group + place)));
        }
        let outcome = table.fault(&memory, &real);
        let fetch = Access { at, segment: Segment::Size1T, base: PageSize::Size4K, store: false };
        (outcome, machine.access(fetch).is_some())
    };
    assert_eq!(crowded(0), (Outcome::Resume, true));
    assert_eq!(crowded(Word0::SW2.bits()), (Outcome::Reflect(Dsisr::NO_TRANSLATION), false));
}

#[test]
fn what_registers_cannot_say_is_no_translation() {
    let (_, table, memory, _) = entered(WORD1, true);
    for asdr in [u64::MAX, 1 << 63, 0x30, !0 >> 2] {
        let odd = Fault { asdr: VsidWord::new(asdr), ..fault(mmu::Access::Read) };
        assert_eq!(table.fault(&memory, &odd), Outcome::Reflect(Dsisr::NO_TRANSLATION), "{asdr:#x}");
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let (machine, _) = table(18);
    let shape = |order| Shape::new(order).expect("a table");
    let parts = |order| Parts { shape: shape(order), at: HostReal::new(0), entries: &[], sides: &[], heads: &[] };
    assert!(matches!(Hpt::new(machine, 1, parts(18), END), Err(Misfit::Length)));
    assert!(matches!(Hpt::new(machine, 1, parts(46), END), Err(Misfit::TooLarge)));
}
