//! Several threads fault on the same pages at the same time: one of them makes each page, nothing that was stored is lost, and nobody prepares a page more than once for nothing.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use hv_core::mmu::pins::Pins;
use hv_core::mmu::stats::Outcome;
use hv_core::mmu::{Cpu, Discipline, Granule, Space};
use mmu_bench::Bench;
use mmu_bench::baselines::{OneLock, ReadWrite};
use mmu_bench::faults::{Kind, seat, take_waiting};
use mmu_bench::guest::{guest, machine};
use ppc64_arch::addr::{GuestReal, LeafSize};
use std::sync::atomic::{AtomicUsize, Ordering};

const PAGES: u64 = 2048;
/// Pages of one table, and levels of tables below the root.
const TABLE: usize = 512;
const LEVELS: u64 = 3;
/// Turns of waiting before another thread gets the CPU.
const SPINS: u32 = 2000;

/// Lets threads pass together. It spins for a while, so that those that run come out within a few instructions of each other.
struct Gate {
    arrived: AtomicUsize,
    threads: usize,
}

impl Gate {
    fn pass(&self, turn: usize) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut spins = 0;
        while self.arrived.load(Ordering::Acquire) < (turn + 1) * self.threads {
            spins += 1;
            if spins % SPINS == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

/// One thread: at each page it waits for the others, faults, and stores its number into a byte of its own.
fn faults<D: Discipline>(space: &Space<'_, Bench, D>, kind: Kind, id: usize, gate: &Gate) -> Cpu {
    let seat = seat(space, id);
    for (turn, fault) in kind.every(0, PAGES).iter().enumerate() {
        gate.pass(turn);
        let discarded = || seat.with_cpu(|_, cpu| cpu.stats.discarded);
        let before = discarded();
        take_waiting(&seat, fault);
        // The first fault in a table may lose tables as well, one at each level.
        let lost = if turn.is_multiple_of(TABLE) { 1 + LEVELS } else { 1 };
        assert!(discarded() - before <= lost, "a page was prepared twice for nothing");
        seat.write(GuestReal::new(fault.claim.raw() + id as u64), &[id as u8 + 1]).unwrap();
    }
    seat.leave()
}

fn check<D: Discipline>(discipline: &str, kind: Kind, outcome: Outcome, threads: usize) {
    let (memory, size) = (machine(kind.size(PAGES)), kind.size(PAGES));
    let space = guest::<D>(&memory, size, Granule::Fixed(LeafSize::Size4K));
    kind.prepare(&seat(&space, 0), std::slice::from_ref(&(0..PAGES)));
    let gate = Gate { arrived: AtomicUsize::new(0), threads };
    let cpus: Vec<Cpu> = std::thread::scope(|scope| {
        let gate = &gate;
        let space = &space;
        let started: Vec<_> = (0..threads).map(|id| scope.spawn(move || faults(space, kind, id, gate))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |of: &dyn Fn(&Cpu) -> u64| cpus.iter().map(of).sum::<u64>();
    let made = sum(&|cpu| cpu.stats.outcome(outcome));
    let discarded = sum(&|cpu| cpu.stats.discarded);
    let [spurious, not_same, wait] =
        [Outcome::Spurious, Outcome::NotSame, Outcome::Wait].map(|other| sum(&|cpu| cpu.stats.outcome(other)));
    println!(
        "same page: {discipline:<10} {threads} threads, {:<12} {made} made, {spurious} found, {not_same} lost, {wait} waited, {discarded} discarded",
        kind.name()
    );
    assert_eq!(made, PAGES, "each page is made once");
    assert_eq!(made + spurious + not_same, PAGES * threads as u64);
    let seat = seat(&space, 0);
    for fault in kind.every(0, PAGES) {
        let mut stored = vec![0; threads];
        seat.read(fault.claim, &mut stored).unwrap();
        assert_eq!(stored, (1..=threads as u8).collect::<Vec<_>>(), "a store to {} is lost", fault.claim);
    }
}

#[test]
fn a_page_of_zeros_is_made_by_one_thread_and_keeps_what_all_stored() {
    for threads in [2, 4] {
        check::<Pins>("ours", Kind::Zero, Outcome::Installed, threads);
    }
}

#[test]
fn a_shared_page_is_copied_by_one_thread_and_the_copy_keeps_what_all_stored() {
    for threads in [2, 4] {
        check::<Pins>("ours", Kind::Unshare, Outcome::Unshared, threads);
    }
}

#[test]
fn the_baselines_make_each_page_once_as_well() {
    check::<OneLock>("one lock", Kind::Zero, Outcome::Installed, 2);
    check::<ReadWrite>("read-write", Kind::Zero, Outcome::Installed, 2);
}
