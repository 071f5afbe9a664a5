//! The fault path on the fake machine: every page where it belongs, every figure accounted for.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use hv_core::mmu::audit::Audit;
use hv_core::mmu::stats::{Outcome, Reason};
use hv_core::mmu::{
    Access, AccessError, Cpu, Granule, Hardware, Memory, Reflect, Resolution, Seat, SlotSpec, Source, Space,
};
use machine::{ARENA_BASE, Machine};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const IMAGE_AT: HostReal = HostReal::new(ARENA_BASE.raw() + 2 * MIB);
/// Ends inside a page, inside a 64 KiB block that begins with whole pages, inside a region of which the image fills several blocks.
const IMAGE_BYTES: u64 = 4 * MIB + 0x5_4234;
const GRANULES: [Granule; 4] = [
    Granule::Fixed(LeafSize::Size4K),
    Granule::Fixed(LeafSize::Size64K),
    Granule::Fixed(LeafSize::Size2M),
    Granule::Auto,
];

fn image_byte(offset: u64) -> u8 {
    if offset < IMAGE_BYTES { (offset / 8 * 7 + 3) as u8 } else { 0 }
}

/// 32 MiB of host memory, of which the first 8 MiB hold an image, at `skew` bytes from where it would be aligned.
fn machine(skew: u64) -> &'static Memory<Machine> {
    let memory = Machine::with_pool(32 * MIB, 2, 8 * MIB);
    let image: Vec<u8> = (0..IMAGE_BYTES).map(image_byte).collect();
    memory.hardware.arena().write(HostReal::new(IMAGE_AT.raw() + skew), &image);
    memory
}

/// A guest of an image slot of 6 MiB at 0, a hole, 4 MiB of zeros at 8 MiB, and a read-only image slot at 16 MiB.
fn guest(memory: &'static Memory<Machine>, granule: Granule, skew: u64) -> Space<'static, Machine> {
    let space = Space::new(memory, 7, granule).unwrap();
    let source = Source::Image { at: HostReal::new(IMAGE_AT.raw() + skew), bytes: IMAGE_BYTES };
    let slots =
        [(0, 6 * MIB, source, false), (8 * MIB, 4 * MIB, Source::Zero, false), (16 * MIB, 5 * MIB, source, true)];
    for (base, bytes, source, read_only) in slots {
        let spec = SlotSpec { base: GuestReal::new(base), bytes, source, read_only };
        // SAFETY: 1. The image stands in the reserved part of the arena, and no test writes there.
        unsafe { space.add_slot(&spec) }.unwrap();
    }
    space
}

/// The guest accesses `at`, faulting as often as it takes.
fn reach(seat: &Seat<'_, '_, Machine>, at: u64, access: Access) -> Result<HostReal, Resolution> {
    let hardware = &seat.space().memory().hardware;
    for _ in 0..4 {
        match hardware.access(0, seat.space().lpid(), GuestReal::new(at), access) {
            Ok(host) => return Ok(host),
            Err(fault) => match seat.fault(&fault.into()) {
                Resolution::Resume => {}
                other => return Err(other),
            },
        }
    }
    panic!("{access:?} at {at:#x} does not get anywhere");
}

fn load(seat: &Seat<'_, '_, Machine>, at: u64) -> u8 {
    let host = reach(seat, at, Access::Read).unwrap();
    let mut byte = [0];
    seat.space().memory().hardware.arena().read(host, &mut byte);
    byte[0]
}

fn store(seat: &Seat<'_, '_, Machine>, at: u64, value: u8) {
    let host = reach(seat, at, Access::Write).unwrap();
    seat.space().memory().hardware.arena().write(host, &[value]);
}

/// Made − unmapped = live, and a space that is emptied leaves nothing behind.
fn check_books(seat: Seat<'_, '_, Machine>, free_before: u64) {
    let audit = Audit::of(seat.space());
    seat.with_cpu(|_, cpu| {
        let mut live = cpu.stats.made;
        live.subtract(&cpu.stats.unmapped);
        assert_eq!(live, audit.live);
        assert_eq!(cpu.stats.tables_made - cpu.stats.tables_freed, audit.tables);
        assert_eq!((audit.transit, audit.broken), (0, 0));
    });
    seat.with_cpu(|space, cpu| {
        space.clear(cpu);
        cpu.frames.drain(&space.memory().pool);
        assert_eq!(cpu.stats.tables_made, cpu.stats.tables_freed);
    });
    let pool = &seat.space().memory().pool;
    assert_eq!((pool.free_bytes(), pool.double_frees()), (free_before, 0));
}

#[test]
fn untouched_memory_reads_as_its_source_at_every_granule_and_alignment() {
    for granule in GRANULES {
        for skew in [0, 0x1000, 0x1_0000, 0x18] {
            let memory = machine(skew);
            let space = guest(memory, granule, skew);
            let free = memory.pool.free_bytes();
            let seat = Seat::new(&space, Cpu::new(0).unwrap());
            for at in (0..6 * MIB).step_by(0x7ff).chain([IMAGE_BYTES - 1, IMAGE_BYTES, 6 * MIB - 1]) {
                assert_eq!(load(&seat, at), image_byte(at), "{granule:?} {skew:#x} {at:#x}");
            }
            for at in (8 * MIB..12 * MIB).step_by(0x1fff) {
                assert_eq!(load(&seat, at), 0);
            }
            check_books(seat, free);
        }
    }
}

#[test]
fn an_image_that_is_aligned_is_mapped_without_a_copy() {
    let memory = machine(0);
    let space = guest(memory, Granule::Auto, 0);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    assert_eq!(reach(&seat, 0x12_3456, Access::Fetch), Ok(HostReal::new(IMAGE_AT.raw() + 0x12_3456)));
    assert_eq!(reach(&seat, 16 * MIB, Access::Read), Ok(IMAGE_AT));
}

#[test]
fn a_fault_on_an_image_page_maps_its_neighbours_but_not_beyond_image_or_group() {
    let memory = machine(0);
    let space = guest(memory, Granule::Fixed(LeafSize::Size4K), 0);
    let free = memory.pool.free_bytes();
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    store(&seat, 0x1_3000, 0xee);
    assert!(reach(&seat, 0x1_8000, Access::Read).is_ok());
    let mapped = |at: u64| memory.hardware.access(1, 7, GuestReal::new(at), Access::Read).is_ok();
    let around: Vec<u64> = (0..0x3_0000).step_by(0x1000).filter(|at| mapped(*at)).collect();
    assert_eq!(around, (0x1_0000..0x2_0000).step_by(0x1000).collect::<Vec<_>>());
    assert_eq!(load(&seat, 0x1_3000), 0xee, "a page that was there was replaced");
    // The last group ends where the image does: what follows is zeros, in frames of the guest's own.
    assert_eq!(load(&seat, 4 * MIB + 0x5_0000), image_byte(4 * MIB + 0x5_0000));
    assert!(mapped(4 * MIB + 0x5_3000) && !mapped(4 * MIB + 0x5_4000));
    check_books(seat, free);
}

#[test]
fn a_store_to_an_image_page_changes_a_copy_and_no_stale_translation_survives() {
    for granule in GRANULES {
        let memory = machine(0);
        let space = guest(memory, granule, 0);
        let free = memory.pool.free_bytes();
        let seat = Seat::new(&space, Cpu::new(0).unwrap());
        assert_eq!(load(&seat, 0x5000), image_byte(0x5000));
        memory.hardware.access(1, 7, GuestReal::new(0x5000), Access::Read).expect("CPU 1 caches the shared page too");
        store(&seat, 0x5000, 0xee);
        assert_eq!(load(&seat, 0x5000), 0xee);
        assert_eq!(load(&seat, 0x5008), image_byte(0x5008));
        let other = memory.hardware.access(1, 7, GuestReal::new(0x5000), Access::Read).unwrap();
        let mut seen = [0];
        memory.hardware.arena().read(other, &mut seen);
        assert_eq!(seen, [0xee], "CPU 1 still reads the image");
        memory.hardware.arena().read(HostReal::new(IMAGE_AT.raw() + 0x5000), &mut seen);
        assert_eq!(seen, [image_byte(0x5000)], "the image itself was changed");
        check_books(seat, free);
    }
}

#[test]
fn what_is_outside_every_slot_or_read_only_is_the_guests_own_error() {
    let memory = machine(0);
    let space = guest(memory, Granule::Auto, 0);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    for at in [6 * MIB, 8 * MIB - 1, 12 * MIB, 1 << 40, (1 << 52) - 1, 1 << 52, u64::MAX] {
        for access in [Access::Read, Access::Write, Access::Fetch] {
            assert_eq!(reach(&seat, at, access), Err(Resolution::Reflect(Reflect::NoSlot)));
        }
    }
    assert_eq!(reach(&seat, 16 * MIB, Access::Write), Err(Resolution::Reflect(Reflect::ReadOnly)));
    assert!(reach(&seat, 16 * MIB, Access::Fetch).is_ok());
    assert_eq!(Audit::of(&space).tables, 2, "a reflected fault makes no table");
}

#[test]
fn a_second_touch_costs_nothing_and_a_second_fault_is_spurious() {
    let memory = machine(0);
    let space = guest(memory, Granule::Fixed(LeafSize::Size4K), 0);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    let at = GuestReal::new(9 * MIB);
    let fault = memory.hardware.access(0, 7, at, Access::Read).unwrap_err();
    assert_eq!(seat.fault(&fault.into()), Resolution::Resume);
    assert_eq!(seat.fault(&fault.into()), Resolution::Resume);
    assert!(memory.hardware.access(0, 7, at, Access::Write).is_ok());
    seat.with_cpu(|_, cpu| {
        assert_eq!((cpu.stats.outcome(Outcome::Installed), cpu.stats.outcome(Outcome::Spurious)), (1, 1));
        assert_eq!((cpu.stats.faults(), cpu.stats.retries(Reason::Serialised)), (2, 0));
    });
}

#[test]
fn when_large_frames_run_out_small_ones_serve_and_then_the_guest_is_told() {
    let memory = Machine::with_pool(6 * MIB, 1, 0);
    let space = Space::new(memory, 7, Granule::Auto).unwrap();
    let spec = SlotSpec { base: GuestReal::new(0), bytes: 64 * MIB, source: Source::Zero, read_only: false };
    // SAFETY: 1. There is no image.
    unsafe { space.add_slot(&spec) }.unwrap();
    let free = memory.pool.free_bytes();
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    let mut at = 0;
    let end = loop {
        match reach(&seat, at, Access::Write) {
            Ok(_) => at += 0x1000,
            Err(end) => break end,
        }
    };
    assert_eq!(end, Resolution::OutOfMemory);
    assert!(at > 5 * MIB, "only {at:#x} bytes of 6 MiB were of use");
    check_books(seat, free);
}

#[test]
fn an_emptied_guest_begins_again() {
    let memory = machine(0);
    let space = guest(memory, Granule::Auto, 0);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    store(&seat, 0x100, 1);
    store(&seat, 9 * MIB, 2);
    seat.with_cpu(|space, cpu| space.empty(cpu));
    assert_eq!(Audit::of(&space), Audit::default());
    assert_eq!((load(&seat, 0x100), load(&seat, 9 * MIB)), (image_byte(0x100), 0));
}

#[test]
fn an_unmapped_range_begins_again_and_its_neighbours_stay() {
    let memory = machine(0);
    let space = guest(memory, Granule::Fixed(LeafSize::Size4K), 0);
    let free = memory.pool.free_bytes();
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    for page in 0..8 {
        store(&seat, 8 * MIB + page * 0x1000, 0x40 + page as u8);
    }
    seat.with_cpu(|space, cpu| space.unmap(cpu, GuestReal::new(8 * MIB + 0x2000), GuestReal::new(8 * MIB + 0x5000)))
        .unwrap();
    let bytes: Vec<u8> = (0..8).map(|page| load(&seat, 8 * MIB + page * 0x1000)).collect();
    assert_eq!(bytes, [0x40, 0x41, 0, 0, 0, 0x45, 0x46, 0x47]);
    check_books(seat, free);
}

#[test]
fn the_hypervisor_reads_and_writes_through_the_same_resolution() {
    let memory = machine(0);
    let space = guest(memory, Granule::Auto, 0);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    let data: Vec<u8> = (0..0x3000u32).map(|n| n as u8 ^ 0x5a).collect();
    seat.write(GuestReal::new(0x1ff8), &data).unwrap();
    let mut back = vec![0; data.len()];
    seat.read(GuestReal::new(0x1ff8), &mut back).unwrap();
    assert_eq!(back, data);
    assert_eq!(load(&seat, 0x1ff7), image_byte(0x1ff7));
    assert_eq!(seat.write(GuestReal::new(16 * MIB), &data), Err(AccessError::ReadOnly));
    seat.read(GuestReal::new(16 * MIB), &mut back).unwrap();
    assert_eq!(back[5], image_byte(5));
    for at in [6 * MIB - 8, 12 * MIB - 1, u64::MAX - 8] {
        assert_eq!(seat.write(GuestReal::new(at), &[0; 16]), Err(AccessError::Outside));
        assert_eq!(seat.read(GuestReal::new(at), &mut [0; 16]), Err(AccessError::Outside));
    }
    assert_eq!(load(&seat, 6 * MIB - 8), 0, "a write that does not fit writes nothing");
}

#[test]
fn two_threads_on_the_same_pages_lose_no_store() {
    let memory = machine(0);
    let space = guest(memory, Granule::Fixed(LeafSize::Size4K), 0);
    let free = memory.pool.free_bytes();
    let space = &space;
    let cpus = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2usize)
            .map(|id| {
                scope.spawn(move || {
                    let seat = Seat::new(space, Cpu::new(id).unwrap());
                    for page in (0..6 * MIB).chain(8 * MIB..12 * MIB).step_by(0x1000) {
                        let at = GuestReal::new(page + 8 * id as u64);
                        while let Err(fault) = space.memory().hardware.access(id, 7, at, Access::Write) {
                            let _tried = seat.fault(&fault.into());
                        }
                        let host = space.memory().hardware.access(id, 7, at, Access::Write).unwrap();
                        space.memory().hardware.arena().write_u64(host, page + id as u64);
                    }
                    seat.leave()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mut cpus = cpus.into_iter();
    let (mut first, second) = (cpus.next().unwrap(), cpus.next().unwrap());
    first.stats.merge(&second.stats);
    let mut second = second;
    second.frames.drain(&memory.pool);
    let seat = Seat::new(space, first);
    for page in (0..6 * MIB).chain(8 * MIB..12 * MIB).step_by(0x1000) {
        for id in 0..2 {
            let host = reach(&seat, page + 8 * id, Access::Read).unwrap();
            assert_eq!(memory.hardware.arena().read_u64(host), page + id, "a store to {page:#x} is lost");
        }
    }
    check_books(seat, free);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_sequence_of_accesses_agrees_with_a_plain_map(
        which in 0usize..4,
        skew in prop::sample::select(vec![0u64, 0x1000, 0x1_0000, 0x20]),
        steps in prop::collection::vec((0u8..4, 0u64..22 * MIB, any::<u8>()), 1..300),
    ) {
        let memory = machine(skew);
        let space = guest(memory, GRANULES[which], skew);
        let free = memory.pool.free_bytes();
        let seat = Seat::new(&space, Cpu::new(0).unwrap());
        let mut model = std::collections::HashMap::new();
        for (what, at, value) in steps {
            let (image, zero, read_only) = (at < 6 * MIB, (8 * MIB..12 * MIB).contains(&at), (16 * MIB..21 * MIB).contains(&at));
            let origin = if image { image_byte(at) } else if read_only { image_byte(at - 16 * MIB) } else { 0 };
            match what {
                0 if image || zero => { store(&seat, at, value); model.insert(at, value); }
                1 if image || zero || read_only => {
                    prop_assert_eq!(load(&seat, at), model.get(&at).copied().unwrap_or(origin));
                }
                2 => { let fetched = reach(&seat, at, Access::Fetch); prop_assert_eq!(fetched.is_ok(), image || zero || read_only); }
                3 if at % 16 == 0 => { seat.with_cpu(|space, cpu| space.empty(cpu)); model.clear(); }
                _ => { let stored = reach(&seat, at, Access::Write); prop_assert_eq!(stored.is_ok(), image || zero); }
            }
        }
        check_books(seat, free);
    }
}

#[test]
fn the_hardware_takes_what_the_partition_table_says() {
    let memory = machine(0);
    let space = guest(memory, Granule::Auto, 0);
    let at = GuestReal::new(0);
    assert!(memory.hardware.access(0, 8, at, Access::Read).is_err(), "another partition has no tree");
    memory.hardware.set_partition(7, 0, 0);
    assert!(memory.hardware.access(0, 7, at, Access::Read).is_err());
    space.set_process_table(0);
    let seat = Seat::new(&space, Cpu::new(0).unwrap());
    assert!(reach(&seat, 0, Access::Read).is_ok());
}
