//! Flushes that stay on one CPU while others come to the partition. Every order, without a bound on preemptions.
//!
//! One entry, which names a frame, is all that a partition has here; each CPU keeps what it walked until a flush takes it away, under a lock of its own as in
//! [`machine`](super::machine). Only a flush that goes everywhere takes the others' locks, so a local one orders nothing for them.
//!
//! ```text
//!   visit                       change
//!   ─────                       ──────
//!   take                        store the entry
//!   lock mine                   alone?  lock mine, forget
//!   cached? else walk, cache    not?    for each CPU: lock its, forget
//!   read the frame              the old frame is the next owner's
//! ```
//!
//! Loom finds the race if somebody still reads the old frame. When all are done, what is cached is what the entry says.

use crate::mmu::places::Place;
use crate::sync::{AtomicU64, Lock, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{JoinHandle, spawn};

const CPUS: u32 = 3;
const FRAMES: usize = 3;

struct World {
    place: Place,
    /// The number of a frame.
    entry: AtomicU64,
    frames: [UnsafeCell<()>; FRAMES],
    /// What each CPU has cached of the entry.
    cached: [Lock<Option<u64>>; CPUS as usize],
}

impl World {
    fn new() -> Self {
        Self {
            place: Place::new(),
            entry: AtomicU64::new(0),
            frames: core::array::from_fn(|_| UnsafeCell::new(())),
            cached: core::array::from_fn(|_| Lock::new(None)),
        }
    }

    /// CPU number `cpu` comes to the partition, and the guest reads.
    fn visit(&self, cpu: u32) {
        self.place.take(cpu);
        self.read(cpu);
    }

    /// The guest reads on CPU number `cpu`.
    fn read(&self, cpu: u32) {
        let mut cached = self.cached[cpu as usize].lock();
        // Relaxed: nothing but the protocol makes a walk see what was stored.
        let frame = *cached.get_or_insert_with(|| self.entry.load(Ordering::Relaxed));
        self.frames[frame as usize].with(|_| ());
    }

    /// CPU number `cpu` lets the entry name frame `to`, flushes, and gives away the frame before it, as a mutation does.
    fn change(&self, cpu: u32, to: u64) {
        self.entry.store(to, Ordering::Relaxed);
        match self.place.is_only(cpu) {
            true => self.forget(cpu),
            false => (0..CPUS).for_each(|cpu| self.forget(cpu)),
        }
        self.frames[to as usize - 1].with_mut(|_| ());
    }

    fn forget(&self, cpu: u32) {
        *self.cached[cpu as usize].lock() = None;
    }

    /// Nobody holds an old translation.
    fn check(&self) {
        let entry = self.entry.load(Ordering::Relaxed);
        for cached in &self.cached {
            assert!(cached.lock().is_none_or(|frame| frame == entry), "an old translation outlived its flush");
        }
    }
}

/// Does `work` on a CPU of its own.
fn meanwhile(world: &Arc<World>, work: impl FnOnce(&World) + 'static) -> JoinHandle<()> {
    let world = world.clone();
    spawn(move || work(&world))
}

/// All orders of what `others` start and what `first` does, after `before`.
fn every_order<const N: usize>(before: fn(&World), others: fn(&Arc<World>) -> [JoinHandle<()>; N], first: fn(&World)) {
    loom::model(move || {
        let world = Arc::new(World::new());
        before(&world);
        let others = others(&world);
        first(&world);
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        world.check();
    });
}

#[test]
fn a_cpu_that_comes_sees_the_entry_or_is_flushed() {
    every_order(
        |world| world.visit(0),
        |world| [meanwhile(world, |world| world.visit(1))],
        |world| {
            world.change(0, 1);
            world.read(0);
        },
    );
}

#[test]
fn a_cpu_that_comes_between_two_flushes_is_reached_by_the_second() {
    every_order(
        |world| world.visit(0),
        |world| {
            [meanwhile(world, |world| {
                world.visit(1);
                world.read(1);
            })]
        },
        |world| {
            world.change(0, 1);
            world.change(0, 2);
        },
    );
}

#[test]
fn two_cpus_that_come_see_the_entry_or_are_flushed() {
    every_order(
        |world| world.visit(0),
        |world| [1, 2].map(|cpu| meanwhile(world, move |world| world.visit(cpu))),
        |world| world.change(0, 1),
    );
}

#[test]
fn of_two_cpus_that_come_first_the_flush_of_one_reaches_the_other() {
    every_order(
        |_| {},
        |world| [meanwhile(world, |world| world.visit(1))],
        |world| {
            world.visit(0);
            world.change(0, 1);
        },
    );
}

#[test]
fn whoever_comes_and_flushes_reaches_those_who_were_there() {
    every_order(
        |world| world.visit(0),
        |world| [meanwhile(world, |world| world.read(0))],
        |world| {
            world.visit(1);
            world.visit(1);
            world.change(1, 1);
        },
    );
}

#[test]
fn a_flush_from_where_the_partition_never_was_reaches_the_cpu_that_comes() {
    every_order(|_| {}, |world| [meanwhile(world, |world| world.visit(1))], |world| world.change(0, 1));
}
