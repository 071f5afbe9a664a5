//! R and C by each kind of hardware.

use crate::tree::*;
use hv_core::mmu::{Flush, Hardware};
use machine::{Machine, Recording};
use ppc64_arch::addr::LeafSize;

const R: u64 = 0x100;
const C: u64 = 0x80;

fn recorded(machine: &Machine) -> u64 {
    get(machine, PAGES) & (R | C)
}

fn fresh(recording: Recording) -> Machine {
    let machine: Machine = machine();
    machine.set_recording(recording);
    put(&machine, PAGES, FRESH | frame(1));
    machine
}

#[test]
fn hardware_that_leaves_them_to_software_faults_without_them() {
    let machine = fresh(Recording::Software);
    assert!(!machine.sets_reference());
    assert_eq!((load(&machine, 0, 0), store(&machine, 0, 0)), (None, None));
    put(&machine, PAGES, FRESH | R | frame(1));
    assert_eq!((load(&machine, 0, 0), store(&machine, 0, 0)), (Some(frame(1)), None));
    put(&machine, PAGES, FULL | frame(1));
    assert_eq!(store(&machine, 0, 0), Some(frame(1)));
}

#[test]
fn hardware_that_sets_them_does_so_before_the_access_is_done() {
    let machine = fresh(Recording::AtOnce);
    assert!(machine.sets_reference());
    assert!(load(&machine, 0, 0).is_some());
    assert_eq!(recorded(&machine), R);
    assert!(store(&machine, 0, 0).is_some());
    assert_eq!(recorded(&machine), R | C);
}

#[test]
fn a_store_that_needs_c_finds_that_its_translation_was_taken_away() {
    let machine = fresh(Recording::AtOnce);
    assert!(load(&machine, 0, 0).is_some());
    put(&machine, PAGES, READ_ONLY | frame(1));
    // Not flushed; but C cannot be set any more, so the CPU looks again.
    assert_eq!(store(&machine, 0, 0), None);
}

#[test]
fn r_that_software_cleared_is_set_again_only_once_the_flush_is_done() {
    let machine = fresh(Recording::AtOnce);
    assert!(load(&machine, 0, 0).is_some());
    put(&machine, PAGES, FRESH | frame(1));
    assert!(load(&machine, 0, 0).is_some());
    assert_eq!(recorded(&machine), 0, "the cached translation has R, so nothing is recorded");
    machine.flush(leaf(0, LeafSize::Size4K));
    assert!(load(&machine, 0, 0).is_some());
    assert_eq!(recorded(&machine), R);
}

#[test]
fn late_hardware_sets_them_when_it_is_made_to() {
    let machine = fresh(Recording::Late);
    assert!(store(&machine, 0, 0).is_some());
    assert_eq!(recorded(&machine), 0);
    assert_eq!((machine.deliver(1, 0), machine.deliver(0, 1), machine.deliver(0, 0)), (0, 0, 1));
    assert_eq!(recorded(&machine), R | C);
}

#[test]
fn late_hardware_sets_them_before_the_flush_completes_and_not_for_another_one() {
    let machine = fresh(Recording::Late);
    assert!(store(&machine, 1, 0).is_some());
    machine.flush(leaf(0x1000, LeafSize::Size4K));
    machine.flush(Flush::Partition { lpid: LPID + 1 });
    assert_eq!(recorded(&machine), 0);
    machine.flush(leaf(0, LeafSize::Size4K));
    assert_eq!(recorded(&machine), R | C);
}

#[test]
fn a_late_c_reaches_an_entry_that_was_write_protected_meanwhile() {
    let machine = fresh(Recording::Late);
    assert!(store(&machine, 0, 0).is_some());
    put(&machine, PAGES, READ_ONLY | frame(1));
    machine.flush(leaf(0, LeafSize::Size4K));
    assert_eq!(get(&machine, PAGES), READ_ONLY | C | frame(1));
}

#[test]
fn a_late_update_leaves_an_entry_alone_that_maps_something_else_by_then() {
    for now in [0, FRESH | frame(2), table(OTHER_PAGES, 9), 0x1234] {
        let machine = fresh(Recording::Late);
        assert!(store(&machine, 0, 0).is_some());
        put(&machine, PAGES, now);
        machine.flush(leaf(0, LeafSize::Size4K));
        assert_eq!(get(&machine, PAGES), now);
    }
}
