//! What mutants of the memory core showed to be missing among the tests: each of these is there because one of tests/mutants survived all others.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use hv_core::mmu::audit::Audit;
use hv_core::mmu::store::{Compressed, Frames, Page, PageStore, Reader, StoreError};
use hv_core::mmu::{
    Access, AccessError, Aged, Cpu, Frame, FramePool, Granule, Hardware, Memory, Resolution, Seat, SlotSpec, Source,
    Space,
};
use hv_core::sync::Ordering;
use machine::{ARENA_BASE, Machine, Recording};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::Entry;

const MIB: u64 = 1 << 20;
const PAGE: u64 = LeafSize::Size4K.bytes();

/// 8 MiB of zeros in leaves of 4 KiB.
fn guest(memory: &'static Memory<Machine>) -> Space<'static, Machine> {
    let space = Space::new(memory, 7, Granule::Fixed(LeafSize::Size4K)).unwrap();
    let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 * MIB, source: Source::Zero, read_only: false };
    // SAFETY: 1. There is no image.
    unsafe { space.add_slot(&spec) }.unwrap();
    space
}

fn use_page(seat: &Seat<'_, '_, Machine>, page: u64) {
    let hardware = &seat.space().memory().hardware;
    while let Err(fault) = hardware.access(0, 7, GuestReal::new(page * PAGE), Access::Write) {
        assert_eq!(seat.fault(&fault.into()), Resolution::Resume);
    }
}

fn age(seat: &Seat<'_, '_, Machine>) -> Aged {
    seat.with_cpu(|space, cpu| space.age(cpu, GuestReal::new(0), GuestReal::new(8 * MIB)))
}

/// The first 512 pages are there, none of them used since it was last asked, and hardware is slow to say which are.
fn unused(seat: &Seat<'_, '_, Machine>) {
    (0..512).for_each(|page| use_page(seat, page));
    let aged = age(seat);
    assert_eq!((aged.young + aged.old, age(seat).young), (512, 0));
    seat.space().memory().hardware.set_recording(Recording::Late);
}

#[test]
fn a_page_whose_use_is_recorded_only_by_the_flush_of_ageing_counts_as_used() {
    let memory = Machine::with_pool(32 * MIB, 1, 0);
    let space = guest(memory);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    unused(&seat);
    // So many that everything is flushed; of the last one R is still owed when ageing begins.
    (0..40).for_each(|page| use_page(&seat, page * 2));
    use_page(&seat, 301);
    memory.hardware.deliver(0, 1);
    assert_eq!(age(&seat), Aged { young: 41, old: 471 });
}

#[test]
fn a_promoted_page_is_used_if_the_flush_of_its_promotion_says_so_of_a_part() {
    let memory = Machine::with_pool(32 * MIB, 1, 0);
    let space = guest(memory);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    unused(&seat);
    use_page(&seat, 301);
    assert_eq!(seat.with_cpu(|space, cpu| space.promote(cpu, GuestReal::new(0))), Ok(LeafSize::Size2M));
    assert_eq!(age(&seat), Aged { young: 1, old: 0 });
}

#[test]
fn a_guest_makes_no_more_tables_than_it_may_and_goes_on_with_those_it_has() {
    let memory = Machine::with_pool(32 * MIB, 1, 0);
    let space = guest(memory);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    use_page(&seat, 0);
    let tables = Audit::of(&space).tables;
    space.limit_tables(tables);
    assert_eq!(seat.write(GuestReal::new(4 * MIB), b"beyond"), Err(AccessError::OutOfMemory));
    assert_eq!(Audit::of(&space).tables, tables);
    use_page(&seat, 511);
    space.limit_tables(tables + 1);
    assert_eq!(seat.write(GuestReal::new(4 * MIB), b"beyond"), Ok(()));
}

#[test]
fn a_store_to_a_huge_page_dirties_one_small_page_of_the_log() {
    let memory = Machine::with_pool(32 * MIB, 1, 0);
    let space = Space::new(memory, 7, Granule::Fixed(LeafSize::Size2M)).unwrap();
    let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 * MIB, source: Source::Zero, read_only: false };
    // SAFETY: 1. There is no image.
    unsafe { space.add_slot(&spec) }.unwrap();
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    use_page(&seat, 0);
    seat.with_cpu(|space, cpu| space.start_log(cpu, GuestReal::new(0))).unwrap();
    use_page(&seat, 5);
    let mut dirty = vec![];
    let all = seat
        .with_cpu(|space, cpu| space.harvest(cpu, GuestReal::new(0), |first, bits| dirty.push((first.raw(), bits))));
    assert_eq!((all, dirty), (Ok(1), vec![(0, 1 << 5)]));
}

/// Where the entry stands that maps the page at `host`.
fn entry_of(memory: &Memory<Machine>, host: HostReal) -> HostReal {
    let words = memory.hardware.arena().words(ARENA_BASE, (32 * MIB / 8) as usize);
    let maps = |word: &u64| matches!(Entry::decode(u64::from_be(*word)), Entry::Leaf(leaf) if leaf.frame() == host);
    let mut found = words.iter().enumerate().filter(|(_, word)| maps(&word.load(Ordering::Relaxed)));
    let (index, _) = found.next().unwrap();
    assert!(found.next().is_none(), "two entries map {host}");
    HostReal::new(ARENA_BASE.raw() + index as u64 * 8)
}

#[test]
fn an_entry_that_was_filled_and_emptied_again_is_not_the_same_one() {
    let memory = Machine::with_pool(32 * MIB, 1, 0);
    let space = guest(memory);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        use_page(&seat, 3);
        let host = memory.hardware.access(0, 7, GuestReal::new(3 * PAGE), Access::Read).unwrap();
        let entry = entry_of(memory, host);
        seat.with_cpu(|space, cpu| space.unmap(cpu, GuestReal::new(3 * PAGE), GuestReal::new(4 * PAGE))).unwrap();
        assert!(seen.insert(memory.hardware.arena().read_u64(entry)), "the entry says again what it said");
    }
}

/// Frames straight from the pool.
struct Straight<'a>(&'a FramePool);

impl Frames for Straight<'_> {
    fn take(&mut self) -> Option<Frame> {
        self.0.take(LeafSize::Size4K)
    }

    fn put(&mut self, frame: Frame) {
        self.0.put(frame);
    }
}

#[test]
fn a_page_that_took_the_place_of_another_in_the_store_is_not_taken_for_it() {
    let memory = Machine::with_pool(32 * MIB, 1, 0);
    let (store, mut buffer, mut frames) = (Compressed::new(), Reader::default(), Straight(&memory.pool));
    let mut page = memory.pool.take(LeafSize::Size4K).unwrap();
    page.zero(&memory.hardware);
    let first = store.keep(memory, &mut frames, &mut buffer, &page).unwrap();
    store.forget(memory, &mut frames, first).unwrap();
    // SAFETY: 1. The frame is this test's own.
    unsafe { memory.hardware.write(page.at(), b"another page") };
    let second = store.keep(memory, &mut frames, &mut buffer, &page).unwrap();
    assert_eq!(first.place, second.place);
    assert_ne!(first, second);
    let found = store.fetch(memory, &mut buffer, Page::Kept(first), &mut page);
    assert_eq!(found, Err(StoreError::Gone));
}
