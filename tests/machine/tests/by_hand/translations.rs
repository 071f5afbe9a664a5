//! What stays cached, until when, and what ends the test.

use crate::tree::*;
use hv_core::mmu::{Flush, Hardware};
use machine::Machine;
use ppc64_arch::addr::{GuestReal, LeafSize};

#[test]
fn a_translation_is_used_until_a_flush_names_it() {
    let machine: Machine = machine();
    put(&machine, PAGES, FULL | frame(1));
    assert_eq!(load(&machine, 0, 0x10), Some(frame(1) + 0x10));
    put(&machine, PAGES, 0);
    assert_eq!(load(&machine, 0, 0x20), Some(frame(1) + 0x20), "stale, and used");
    assert_eq!(load(&machine, 1, 0x20), None, "CPU 1 had nothing cached");
    assert!(machine.incoherence(0).is_some() && machine.incoherence(1).is_none());
    machine.flush(leaf(0, LeafSize::Size4K));
    assert_eq!((load(&machine, 0, 0x20), machine.incoherence(0)), (None, None));
}

#[test]
fn a_flush_reaches_only_its_partition_range_and_size() {
    let machine: Machine = machine();
    put(&machine, PAGES + 8, FULL | frame(1));
    assert!(load(&machine, 0, 0x1000).is_some());
    put(&machine, PAGES + 8, 0);
    let other =
        Flush::Range { lpid: LPID + 1, from: GuestReal::new(0), to: GuestReal::new(MIB), size: LeafSize::Size4K };
    for misdirected in [
        other,
        Flush::Partition { lpid: LPID + 1 },
        leaf(0, LeafSize::Size4K),
        leaf(0x2000, LeafSize::Size4K),
        leaf(0, LeafSize::Size64K),
        leaf(0, LeafSize::Size2M),
    ] {
        machine.flush(misdirected);
        assert!(load(&machine, 0, 0x1000).is_some(), "{misdirected:?} was enough");
    }
    machine.flush(leaf(0x1000, LeafSize::Size4K));
    assert!(load(&machine, 0, 0x1000).is_none());
}

#[test]
fn a_range_covers_every_page_of_its_size() {
    let machine: Machine = machine();
    for page in 0..16 {
        put(&machine, PAGES + 8 * page, FULL | (frame(1) + page * 0x1000));
        assert!(load(&machine, 1, page * 0x1000).is_some());
    }
    for page in 0..16 {
        put(&machine, PAGES + 8 * page, 0);
    }
    let (from, to) = (GuestReal::new(0x4000), GuestReal::new(0x8000));
    machine.flush(Flush::Range { lpid: LPID, from, to, size: LeafSize::Size4K });
    let cached: Vec<u64> = (0..16).filter(|page| load(&machine, 1, page * 0x1000).is_some()).collect();
    assert_eq!(cached, [0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15]);
}

#[test]
fn partitions_with_one_address_do_not_see_each_others_pages() {
    let machine: Machine = machine();
    put(&machine, PAGES, FULL | frame(1));
    assert!(load(&machine, 0, 0).is_some());
    let theirs = machine.access(0, LPID + 1, GuestReal::new(0), hv_core::mmu::Access::Read);
    assert!(theirs.is_err(), "there is no such partition");
}

#[test]
fn rights_that_were_added_need_no_flush_and_those_taken_away_do() {
    let machine: Machine = machine();
    put(&machine, PAGES, READ_ONLY | frame(1));
    assert_eq!((load(&machine, 0, 0).is_some(), store(&machine, 0, 0)), (true, None));
    put(&machine, PAGES, FULL | frame(1));
    assert_eq!(store(&machine, 0, 0), Some(frame(1)));
    put(&machine, PAGES, READ_ONLY | frame(1));
    assert_eq!(store(&machine, 0, 0), Some(frame(1)), "stale, and stored to");
    assert!(machine.incoherence(0).is_some());
    machine.flush(leaf(0, LeafSize::Size4K));
    assert_eq!(store(&machine, 0, 0), None);
}

#[test]
#[should_panic(expected = "break before make: a walk found")]
fn another_frame_without_a_flush_ends_the_test() {
    let machine: Machine = machine();
    put(&machine, PAGES, READ_ONLY | frame(1));
    assert!(load(&machine, 0, 0).is_some());
    put(&machine, PAGES, FULL | frame(2));
    // The store lacks the right, so the CPU walks again.
    store(&machine, 0, 0);
}

#[test]
#[should_panic(expected = "CPU 1 has Translation")]
fn another_frame_ends_the_test_on_whichever_cpu_the_old_one_is_cached() {
    let machine: Machine = machine();
    put(&machine, PAGES, FULL | frame(1));
    assert!(load(&machine, 1, 0).is_some());
    put(&machine, PAGES, FULL | frame(2));
    load(&machine, 0, 0);
}

#[test]
#[should_panic(expected = "break before make: CPU 1 walked to")]
fn a_large_leaf_over_a_small_one_that_is_cached_ends_the_test() {
    let machine: Machine = machine();
    put(&machine, PAGES + 8, FULL | (frame(1) + 0x1000));
    assert!(load(&machine, 0, 0x1000).is_some());
    // The same memory, even: that the sizes differ is enough.
    put(&machine, REGION, FULL | frame(1));
    load(&machine, 1, 0x5000);
}

#[test]
#[should_panic(expected = "break before make: a walk found")]
fn a_small_leaf_under_a_large_one_that_is_cached_ends_the_test() {
    let machine: Machine = machine();
    put(&machine, REGION, READ_ONLY | frame(1));
    assert!(load(&machine, 0, 0).is_some());
    put(&machine, PAGES + 8, FULL | (frame(1) + 0x1000));
    put(&machine, REGION, table(PAGES, 9));
    // The large leaf lacks the right, so the CPU walks again.
    store(&machine, 0, 0x1000);
}

#[test]
fn mixed_sizes_for_different_addresses_are_fine() {
    let machine: Machine = machine();
    put(&machine, PAGES, FULL | frame(1));
    put(&machine, REGION + 8, FULL | frame(2));
    put(&machine, REGION + 16, table(LARGE_PAGES, 5));
    put(&machine, LARGE_PAGES, FULL | frame(3));
    let reached = [0x10, 2 * MIB + 0x1234, 4 * MIB + 0xfff8].map(|at| load(&machine, 0, at).unwrap());
    assert_eq!(reached, [frame(1) + 0x10, frame(2) + 0x1234, frame(3) + 0xfff8]);
    assert_eq!(machine.incoherence(0), None);
}

#[test]
fn a_table_that_was_replaced_is_walked_until_the_partition_is_flushed() {
    let machine: Machine = machine();
    put(&machine, PAGES, FULL | frame(1));
    put(&machine, OTHER_PAGES + 8, FULL | frame(2));
    assert!(load(&machine, 0, 0).is_some());
    put(&machine, REGION, table(OTHER_PAGES, 9));
    machine.flush(leaf(0, LeafSize::Size4K));
    assert_eq!(load(&machine, 0, 0x1000), None, "the old table has nothing there");
    assert_eq!(load(&machine, 0, 0), Some(frame(1)), "the old table is walked");
    assert!(machine.incoherence(0).unwrap().contains("CPU 0"));
    machine.flush(Flush::Partition { lpid: LPID });
    assert_eq!((load(&machine, 0, 0x1000), load(&machine, 0, 0)), (Some(frame(2)), None));
}

#[test]
fn a_flush_that_comes_before_the_change_is_seen_where_cpus_speculate() {
    let machine: Machine = machine();
    machine.speculate();
    put(&machine, PAGES, FULL | frame(1));
    assert!(load(&machine, 1, 0).is_some());
    machine.flush(leaf(0, LeafSize::Size4K));
    put(&machine, PAGES, 0);
    assert_eq!(load(&machine, 1, 0), Some(frame(1)), "CPU 1 walked again between the two");
    machine.flush(leaf(0, LeafSize::Size4K));
    assert_eq!(load(&machine, 1, 0), None);
}

#[test]
#[should_panic(expected = "the hardware met a tree that it does not take")]
fn a_leaf_that_does_not_fit_its_level_ends_the_test() {
    let machine: Machine = machine();
    put(&machine, REGION, FULL | (frame(1) + 0x1000));
    load(&machine, 0, 0);
}

#[test]
#[should_panic(expected = "the hardware met a tree that it does not take")]
fn a_table_outside_memory_ends_the_test() {
    let machine: Machine = machine();
    put(&machine, REGION, table(0x1_0000_0000_0000 >> 8, 9));
    load(&machine, 0, 0);
}

#[test]
#[should_panic(expected = "is not aligned")]
fn a_flush_that_is_not_aligned_to_its_size_ends_the_test() {
    let machine: Machine = machine();
    machine.flush(leaf(0x1000, LeafSize::Size64K));
}
