//! The quota of table pages: a guest that maps sparsely gets no more than that, and is told so rather than left waiting.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use hv_core::mmu::{
    Access, AccessError, Aged, Cpu, Granule, Resolution, Seat, SlotSpec, Source, Space, SpaceError, StorageFault,
};
use machine::Machine;
use ppc64_arch::addr::{EffAddr, GuestReal, LeafSize};
use ppc64_arch::radix::geometry;

const MIB: u64 = 1 << 20;
/// What one 4 KiB table maps.
const REGION: u64 = 2 * MIB;

/// 64 MiB of zeros in pages of 4 KiB.
fn space(tables: u64) -> Space<'static, Machine> {
    let memory = Machine::with_pool(32 * MIB, 2, 0);
    let space = Space::new(memory, 7, Granule::Fixed(LeafSize::Size4K)).unwrap();
    let spec = SlotSpec { base: GuestReal::new(0), bytes: 64 * MIB, source: Source::Zero, read_only: false };
    // SAFETY: 1. There is no image.
    unsafe { space.add_slot(&spec) }.unwrap();
    space.limit_tables(tables);
    space
}

fn store(seat: &Seat<'_, '_, Machine>, at: u64) -> Resolution {
    let claim = GuestReal::new(at);
    seat.fault(&StorageFault { access: Access::Write, ea: EffAddr::new(at), claim, table_walk: false, cause: None })
}

#[test]
fn a_quota_smaller_than_one_path_is_told_and_not_waited_for() {
    for tables in 0..3 {
        let space = space(tables);
        let seat = Seat::new(&space, Cpu::new(0).unwrap());
        assert_eq!(store(&seat, 0), Resolution::OutOfMemory);
        assert_eq!(seat.write(GuestReal::new(0), &[1]), Err(AccessError::OutOfMemory));
    }
}

#[test]
fn a_guest_that_maps_sparsely_gets_its_quota_and_no_more() {
    // Two tables lead to every region, the others are one for each.
    let space = space(2 + 5);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    let reached = (0..32).take_while(|region| store(&seat, region * REGION) == Resolution::Resume).count();
    assert_eq!(reached, 5);
    assert_eq!(store(&seat, 4 * REGION + 0x1000), Resolution::Resume, "what has a table goes on");
}

#[test]
fn tables_that_map_nothing_any_more_are_used_again() {
    let space = space(2 + 5);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    for region in 0..32 {
        let at = region * REGION;
        assert_eq!(store(&seat, at), Resolution::Resume, "region {region}");
        // The page goes and its table stays, until one is wanted.
        seat.with_cpu(|space, cpu| space.unmap(cpu, GuestReal::new(at), GuestReal::new(at + 0x1000))).unwrap();
    }
    seat.with_cpu(|_, cpu| assert!(cpu.stats.tables_freed >= 25, "{}", cpu.stats.tables_freed));
}

#[test]
fn a_budget_in_which_one_instruction_may_not_fit_is_refused() {
    let memory = Machine::with_pool(4 * MIB, 1, 0);
    let free = memory.pool.free_bytes();
    let make = |budget| Space::with_budget(memory, 7, Granule::Auto, &geometry::ROOT, budget);
    let Err(SpaceError::BudgetTooSmall { least }) = make(0x1_0000) else { panic!("64 KiB are the root alone") };
    assert!(matches!(make(least - 1), Err(SpaceError::BudgetTooSmall { .. })));
    assert_eq!(memory.pool.free_bytes(), free);
    assert!(make(least).is_ok());
}

#[test]
fn an_empty_range_ages_nothing() {
    let space = space(u64::MAX);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    assert_eq!(store(&seat, 0x1000), Resolution::Resume);
    let aged = |from, to| seat.with_cpu(|space, cpu| space.age(cpu, GuestReal::new(from), GuestReal::new(to)));
    assert_eq!(aged(0x1800, 0x1800), Aged { young: 0, old: 0 });
    assert_eq!(aged(0x1800, 0x1801), Aged { young: 1, old: 0 });
}
