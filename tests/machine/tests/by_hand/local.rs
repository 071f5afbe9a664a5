//! Flushes that reach the calling CPU alone.

use crate::tree::*;
use hv_core::mmu::{Flush, Hardware};
use machine::{Machine, on_cpu};
use ppc64_arch::addr::LeafSize;

fn cached_on_both() -> Machine<false> {
    let machine: Machine<false> = machine();
    put(&machine, PAGES, FULL | frame(1));
    assert!(load(&machine, 0, 0).is_some() && load(&machine, 1, 0).is_some());
    put(&machine, PAGES, 0);
    machine
}

#[test]
fn a_flush_concerns_the_cpu_that_calls() {
    let machine = cached_on_both();
    on_cpu(1);
    machine.flush(leaf(0, LeafSize::Size4K));
    assert_eq!((load(&machine, 0, 0), load(&machine, 1, 0)), (Some(frame(1)), None));
    assert!(machine.incoherence(0).is_some() && machine.incoherence(1).is_none());
}

#[test]
fn a_missed_flush_is_made_up_for_by_one_of_the_whole_partition() {
    let machine = cached_on_both();
    on_cpu(1);
    machine.flush(leaf(0, LeafSize::Size4K));
    on_cpu(0);
    machine.flush(Flush::Partition { lpid: LPID });
    assert_eq!((load(&machine, 0, 0), machine.incoherence(0)), (None, None));
}

#[test]
fn another_cpus_stale_translation_is_no_multi_hit() {
    let machine = cached_on_both();
    on_cpu(1);
    machine.flush(leaf(0, LeafSize::Size4K));
    put(&machine, PAGES, FULL | frame(2));
    assert_eq!((load(&machine, 0, 0), load(&machine, 1, 0)), (Some(frame(1)), Some(frame(2))));
}

#[test]
fn a_cpu_that_was_asked_to_leave_learns_it_once() {
    let machine: Machine<false> = machine();
    machine.kick(1);
    assert_eq!([0, 1, 1].map(|cpu| machine.take_kick(cpu)), [false, true, false]);
}
