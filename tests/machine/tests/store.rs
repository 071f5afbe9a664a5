//! Guests whose memory is larger than what they are given.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use hv_core::mmu::audit::Audit;
use hv_core::mmu::store::{self, Compressed, Frames, PageStore, Reader, StoreError};
use hv_core::mmu::{Access, Cpu, Frame, Granule, Memory, Resolution, Seat, SlotSpec, Source, Space};
use machine::Machine;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::geometry;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

/// `guest` bytes of zeros on `budget` bytes, the root not counted, of a machine of 32 MiB.
fn guest(guest: u64, budget: u64) -> (&'static Memory<Machine>, Space<'static, Machine>) {
    let memory = Machine::with_pool(32 * MIB, 2, 0);
    let budget = budget + LeafSize::Size64K.bytes();
    let space = Space::with_budget(memory, 7, Granule::Fixed(LeafSize::Size4K), &geometry::ROOT, budget).unwrap();
    let spec = SlotSpec { base: GuestReal::new(0), bytes: guest, source: Source::Zero, read_only: false };
    // SAFETY: 1. There is no image.
    unsafe { space.add_slot(&spec) }.unwrap();
    (memory, space)
}

fn reach(seat: &Seat<'_, '_, Machine>, cpu: usize, at: u64, access: Access) -> Result<HostReal, Resolution> {
    let hardware = &seat.space().memory().hardware;
    for _ in 0..1000 {
        match hardware.access(cpu, 7, GuestReal::new(at), access) {
            Ok(host) => return Ok(host),
            Err(fault) => match seat.fault(&fault.into()) {
                Resolution::Resume | Resolution::Wait(_) => {}
                other => return Err(other),
            },
        }
    }
    panic!("{access:?} at {at:#x} does not get anywhere");
}

/// A page of words that follow from `seed`: repetitive, so that it compresses.
fn store_page(seat: &Seat<'_, '_, Machine>, cpu: usize, at: u64, seed: u64) {
    for offset in (0..0x1000).step_by(8) {
        let host = reach(seat, cpu, at + offset, Access::Write).unwrap();
        seat.space().memory().hardware.arena().write_u64(host, seed + (offset & 0x38));
    }
}

fn check_page(seat: &Seat<'_, '_, Machine>, cpu: usize, at: u64, seed: u64) {
    for offset in (0..0x1000).step_by(8) {
        let host = reach(seat, cpu, at + offset, Access::Read).unwrap();
        let word = seat.space().memory().hardware.arena().read_u64(host);
        assert_eq!(word, seed + (offset & 0x38), "at {at:#x}+{offset:#x}");
    }
}

fn check_books(seat: Seat<'_, '_, Machine>) {
    let space = seat.space();
    let audit = Audit::of(space);
    assert_eq!((audit.transit, audit.broken), (0, 0));
    let held = space.store().unwrap().held();
    assert_eq!(held.pages, audit.stored);
    seat.with_cpu(|_, cpu| {
        let mut live = cpu.stats.made;
        live.subtract(&cpu.stats.unmapped);
        assert_eq!(live, audit.live);
        assert_eq!(cpu.stats.paged_out - cpu.stats.paged_in, audit.stored);
    });
    seat.with_cpu(|space, cpu| space.empty(cpu));
    let pool = &space.memory().pool;
    let mut cpu = seat.leave();
    cpu.frames.drain(pool);
    assert_eq!((space.ledger().drawn(), space.store().unwrap().held().memory_bytes, pool.double_frees()), (16, 0, 0));
    // The root alone is out.
    assert_eq!(pool.free_bytes() + LeafSize::Size64K.bytes(), 32 * MIB);
}

#[test]
fn a_guest_four_times_its_budget_loses_nothing_where_hardware_sets_r_and_where_it_does_not() {
    for software in [false, true] {
        let (memory, space) = guest(8 * MIB, 2 * MIB);
        if software {
            memory.hardware.leave_reference_to_software();
        }
        four_times_the_budget(space);
    }
}

fn four_times_the_budget(space: Space<'static, Machine>) {
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    for round in 0..2 {
        for page in 0..2048 {
            store_page(&seat, 0, page * 0x1000, page << 20 | round);
        }
        for page in 0..2048 {
            check_page(&seat, 0, page * 0x1000, page << 20 | round);
        }
    }
    assert!(space.ledger().drawn() * 0x1000 <= 2 * MIB + 0x8_0000);
    seat.with_cpu(|_, cpu| {
        assert!(cpu.stats.paged_out > 2048 && cpu.stats.paged_in > 2048);
        assert_eq!(cpu.stats.kept, 0);
        // Two of the store's for each page that comes back, one for each that goes; and the one that keeps mutations out.
        assert!(cpu.stats.locks > 2 * cpu.stats.paged_in + cpu.stats.paged_out, "{}", cpu.stats.locks);
    });
    check_books(seat);
}

#[test]
fn pages_that_do_not_compress_stay_and_then_the_guest_is_told() {
    let (memory, space) = guest(8 * MIB, 2 * MIB);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    let mut noise = 1u64;
    let mut page = 0;
    let end = 'full: loop {
        for offset in (0..0x1000).step_by(8) {
            match reach(&seat, 0, page * 0x1000 + offset, Access::Write) {
                Ok(host) => {
                    noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                    memory.hardware.arena().write_u64(host, noise ^ noise >> 29);
                }
                Err(end) => break 'full end,
            }
        }
        page += 1;
    };
    assert_eq!(end, Resolution::OutOfMemory);
    assert!(page * 0x1000 > MIB, "only {page} pages of a budget of 512");
    check_books(seat);
}

#[test]
fn memory_that_went_bad_is_noticed_and_never_shown() {
    // No entry of a table begins with 01 in its first byte, and a frame's first fragment is its header.
    went_bad(24, 0x10_0000, |at, word| at >> 8 & 15 != 0 && word & 0xc0 == 0x40);
}

#[test]
fn a_link_that_went_bad_is_not_followed() {
    // Links are the first words of fragments, numbers of 256 bytes in the arena; a frame's first fragment is its header.
    let base = machine::ARENA_BASE.raw() >> 8;
    let next = |word: u64| word & ((1 << 44) - 1);
    let is_link = move |at: u64, word: u64| at >> 8 & 15 != 0 && (base..base + ((32 * MIB) >> 8)).contains(&next(word));
    // The tag; a place outside the arena; and the same place in the next frame, where another chain may be.
    for damage in [0xff00_0000_0000_0000, 0x0100_0000, 0x10] {
        went_bad(0, damage, is_link);
    }
}

fn noise(at: u64) -> u64 {
    let noise = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    noise ^ noise >> 31
}

fn went_bad(word: u64, damage: u64, concerns: impl Fn(u64, u64) -> bool) {
    let (memory, space) = guest(8 * MIB, 2 * MIB);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    // Half of each page is noise, so that it takes several fragments; there is room for about 700 such pages.
    for page in 0..640u64 {
        for offset in (0..0x1000).step_by(16) {
            let host = reach(&seat, 0, page * 0x1000 + offset, Access::Write).unwrap();
            memory.hardware.arena().write_u64(host, noise(page << 12 | offset));
        }
    }
    // What comes back finds room, so that the store need not take anything more.
    let room = GuestReal::new(64 * 0x1000);
    seat.with_cpu(|space, cpu| space.unmap(cpu, GuestReal::new(0), room)).unwrap();
    // Every word of the host's memory that may be part of a compressed page changes a few bits.
    let arena = memory.hardware.arena();
    for at in (machine::ARENA_BASE.raw()..machine::ARENA_BASE.raw() + 32 * MIB).step_by(256) {
        let at = HostReal::new(at + word);
        let old = arena.read_u64(at);
        if concerns(at.raw(), old) {
            arena.write_u64(at, old ^ damage);
        }
    }
    let mut noticed = 0;
    for page in 64..640u64 {
        match reach(&seat, 0, page * 0x1000, Access::Read) {
            Ok(host) => assert_eq!(memory.hardware.arena().read_u64(host), noise(page << 12)),
            Err(end) => {
                assert_eq!(end, Resolution::MachineError);
                noticed += 1;
            }
        }
        if noticed > 8 {
            return;
        }
    }
    panic!("nobody noticed");
}

#[test]
fn the_hypervisors_own_writes_are_not_lost_to_a_page_out() {
    let (_, space) = guest(8 * MIB, 2 * MIB);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    for page in 0..2048u64 {
        seat.write(GuestReal::new(page * 0x1000 + 0x10), &page.to_le_bytes()).unwrap();
    }
    for page in 0..2048u64 {
        let mut bytes = [0; 8];
        seat.read(GuestReal::new(page * 0x1000 + 0x10), &mut bytes).unwrap();
        assert_eq!(u64::from_le_bytes(bytes), page);
    }
    check_books(seat);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_order_of_pages_under_any_budget_agrees_with_a_plain_map(
        budget in 64u64..160,
        software: bool,
        steps in prop::collection::vec((0u8..8, 0u64..256, any::<u32>()), 1..600),
    ) {
        let (memory, space) = guest(MIB, budget * 0x1000);
        if software {
            memory.hardware.leave_reference_to_software();
        }
        let seat = Seat::new(&space, Cpu::new(0).unwrap());
        let mut model = std::collections::HashMap::new();
        for (what, page, value) in steps {
            let at = page * 0x1000;
            match what {
                0..=3 => { store_page(&seat, 0, at, u64::from(value)); model.insert(page, u64::from(value)); }
                7 if value % 8 == 0 => { seat.with_cpu(|space, cpu| space.empty(cpu)); model.clear(); }
                6 => {
                    let to = at + u64::from(value % 4) * 0x1000;
                    seat.with_cpu(|space, cpu| space.unmap(cpu, GuestReal::new(at), GuestReal::new(to))).unwrap();
                    for gone in page..to / 0x1000 { model.remove(&gone); }
                }
                _ => match model.get(&page) {
                    Some(seed) => check_page(&seat, 0, at, *seed),
                    None => {
                        let host = reach(&seat, 0, at, Access::Read).unwrap();
                        prop_assert_eq!(seat.space().memory().hardware.arena().read_u64(host), 0);
                    }
                },
            }
        }
        for (page, seed) in model {
            check_page(&seat, 0, page * 0x1000, seed);
        }
    }
}

/// Frames for a store of nobody's.
struct FromPool(&'static Memory<Machine>);

impl Frames for FromPool {
    fn take(&mut self) -> Option<Frame> {
        self.0.pool.take(LeafSize::Size4K)
    }

    fn put(&mut self, frame: Frame) {
        self.0.pool.put(frame);
    }
}

#[test]
fn a_handle_of_a_page_that_left_is_not_taken_for_another_at_the_same_place() {
    let memory = Machine::with_pool(2 * MIB, 1, 0);
    let (store, mut frames, mut buffer) = (Compressed::new(), FromPool(memory), Reader::default());
    let mut page = memory.pool.take(LeafSize::Size4K).unwrap();
    page.zero(&memory.hardware);
    let first = store.keep(memory, &mut frames, &mut buffer, &page).unwrap();
    store.forget(memory, &mut frames, first).unwrap();
    let second = store.keep(memory, &mut frames, &mut buffer, &page).unwrap();
    assert_eq!(first.place, second.place, "the place is used again");
    assert_ne!(first, second);
    let mut fetch = |handle| store.fetch(memory, &mut buffer, store::Page::Kept(handle), &mut page);
    assert_eq!(fetch(first), Err(StoreError::Gone));
    assert!(fetch(second).is_ok());
    assert_eq!(store.forget(memory, &mut frames, first), Err(StoreError::Gone));
    memory.pool.put(page);
}
