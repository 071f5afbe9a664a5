//! Frames that are free, and who can still reach them.

use crate::tree::*;
use hv_core::mmu::Hardware;
use machine::{Free, Machine, Owned, outstanding};
use ppc64_arch::addr::{HostReal, LeafSize};

const POISON: u64 = 0xdead_beef_dead_beef;

/// The machine of the tables, its pool over all but the first 4 MiB.
fn owned() -> Owned {
    Owned::new(machine(), 4 * MIB)
}

#[test]
fn a_translation_to_a_free_frame_is_told() {
    let memory = owned();
    let frame = memory.pool.take(LeafSize::Size4K).unwrap();
    let at = frame.at().raw();
    put(&memory.hardware, PAGES, FULL | at);
    assert_eq!(load(&memory.hardware, 0, 8), Some(at + 8));
    assert_eq!(memory.hardware.reaches(&Free::of(&memory, Some(POISON))), None);
    memory.pool.put(frame);
    let told = memory.hardware.reaches(&Free::of(&memory, Some(POISON))).unwrap();
    assert!(told.contains("CPU 0 reaches a free frame"), "{told}");
    assert_eq!(memory.hardware.load_u64(0, LPID, ppc64_arch::addr::GuestReal::new(8)), Ok(POISON));
    memory.hardware.flush(leaf(0, LeafSize::Size4K));
    assert_eq!(memory.hardware.reaches(&Free::of(&memory, Some(POISON))), None);
}

#[test]
fn a_cached_table_in_a_free_frame_is_told() {
    let memory = owned();
    let frame = memory.pool.take(LeafSize::Size4K).unwrap();
    memory.hardware.arena().fill(frame.at(), 0x1000, 0);
    put(&memory.hardware, REGION, table(frame.at().raw(), 9));
    assert_eq!(load(&memory.hardware, 1, 0), None);
    memory.pool.put(frame);
    let told = memory.hardware.reaches(&Free::of(&memory, Some(POISON))).unwrap();
    assert!(told.contains("CPU 1 walks a free table"), "{told}");
}

#[test]
fn what_is_free_is_all_of_the_pool_and_stays_there() {
    let memory = owned();
    assert_eq!(memory.given(), 12 * MIB);
    let frames = [LeafSize::Size4K, LeafSize::Size64K, LeafSize::Size2M].map(|size| memory.pool.take(size).unwrap());
    let gone: u64 = frames.iter().map(|frame| frame.size().bytes()).sum();
    let free = Free::of(&memory, Some(POISON));
    assert_eq!((free.bytes(), outstanding(&memory, memory.given())), (12 * MIB - gone, gone));
    for frame in frames {
        assert!(!free.touches(frame.at(), frame.size().bytes()));
        memory.pool.put(frame);
    }
    assert_eq!((memory.pool.free_bytes(), memory.pool.double_frees()), (12 * MIB, 0));
    assert!(!free.touches(HostReal::new(frame(0)), 4 * MIB) && free.touches(HostReal::new(frame(0)), 16 * MIB));
}

#[test]
fn a_machine_with_a_quiet_image_of_a_gigabyte_costs_no_memory_for_it() {
    let memory = Owned::new(Machine::<true>::build((1 << 30) + 4 * MIB, 1, 1 << 30), 1 << 30);
    assert_eq!(memory.given(), 4 * MIB);
    assert_eq!(memory.hardware.arena().read_u64(HostReal::new(frame(17))), 0);
    assert_ne!(memory.hardware.arena().read_u64(HostReal::new(frame(512))), 0);
}
