//! Registered areas under loom: a CPU that dispatches a processor, and another one that registers and takes back its areas. Every order, without a bound on
//! preemptions.
//!
//! Loom watches the guest's memory as one cell, so that it finds a race if something is still written to it when the guest uses it as its own again.

use super::fields::{VPA_DISPATCHES, VPA_LOG_INDEX, VPA_LOG_MASK};
use super::log::{LOG_CEDE, LOG_PREEMPT};
use super::*;
use crate::guest::host::MemoryError;
use crate::guest::testing::Ram;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::spawn;
use ppc64_arch::addr::GuestReal;

const AT: u64 = 0x1000;
const LOG_AT: u64 = 0x2000;
const MEMORY: usize = 0x3000;

/// Memory of which loom knows who writes to it.
struct Watched {
    ram: Ram,
    cell: UnsafeCell<()>,
}

impl GuestMemory for Watched {
    fn read(&self, at: GuestReal, into: &mut [u8]) -> Result<(), MemoryError> {
        self.cell.with(|_| self.ram.read(at, into))
    }

    fn write(&self, at: GuestReal, from: &[u8]) -> Result<(), MemoryError> {
        self.cell.with_mut(|_| self.ram.write(at, from))
    }

    fn zero(&self, at: GuestReal, bytes: u64) -> Result<(), MemoryError> {
        self.cell.with_mut(|_| self.ram.zero(at, bytes))
    }

    fn contains(&self, at: GuestReal, bytes: u64) -> bool {
        self.ram.contains(at, bytes)
    }

    fn set_process_table(&self, _: u64) {}
}

struct Scene {
    memory: Watched,
    vpa: SharedVpa,
}

impl Scene {
    /// Nothing is registered, but for what `functions` do.
    fn new(functions: &[u64]) -> Self {
        let scene =
            Self { memory: Watched { ram: Ram::new(MEMORY), cell: UnsafeCell::new(()) }, vpa: SharedVpa::default() };
        scene.memory.ram.put(AT + 4, &640_u16.to_be_bytes());
        scene.memory.ram.put(AT + VPA_LOG_MASK, &[LOG_CEDE | LOG_PREEMPT]);
        scene.memory.ram.put(LOG_AT + 4, &96_u32.to_be_bytes());
        scene.dispatched(1);
        functions.iter().for_each(|function| scene.call(*function));
        scene
    }

    fn call(&self, function: u64) {
        let at = if function == hcall::vpa::REGISTER_DTL { LOG_AT } else { AT };
        assert_eq!(self.vpa.call(&self.memory, function << hcall::vpa::SHIFT, Claim::new(at)), Ok(()));
    }

    fn dispatched(&self, now: u64) {
        let dispatch = Dispatch { cpu: 0, nip: 0, msr: 0, now, ready_since: 0, reason: Reason::TimeSlice };
        self.vpa.dispatched(&self.memory, &dispatch);
    }

    /// The guest uses the memory for something else.
    fn reuse(&self) {
        self.memory.zero(GuestReal::new(AT), MEMORY as u64 - AT).expect("inside");
    }

    /// Nothing was written since [`Scene::reuse`].
    fn is_untouched(&self) -> bool {
        (AT..MEMORY as u64).step_by(8).all(|at| self.memory.ram.be64(at) == 0)
    }
}

type Act = fn(&Scene);

fn every_order(before: &'static [u64], acts: [Act; 2], check: Act) {
    loom::model(move || {
        let scene = Arc::new(Scene::new(before));
        let (theirs, act) = (scene.clone(), acts[1]);
        let other = spawn(move || act(&theirs));
        acts[0](&scene);
        other.join().expect("no panic");
        check(&scene);
    });
}

use hcall::vpa::{DEREGISTER_DTL, DEREGISTER_VPA, REGISTER_DTL, REGISTER_VPA};

fn turn(scene: &Scene) {
    scene.vpa.preempted(&scene.memory, 10);
    scene.dispatched(20);
}

fn untouched(scene: &Scene) {
    assert!(scene.is_untouched(), "written after the deregistration");
    scene.vpa.ceded(&scene.memory, 30);
    assert!(scene.is_untouched() && scene.vpa.yield_count().is_none(), "registered again");
}

#[test]
fn nothing_is_written_to_an_area_that_was_taken_back() {
    let take_back: Act = |scene| {
        scene.call(DEREGISTER_VPA);
        scene.reuse();
    };
    every_order(&[REGISTER_VPA], [turn, take_back], untouched);
}

#[test]
fn nothing_is_written_to_a_log_that_was_taken_back() {
    let take_back: Act = |scene| {
        scene.call(DEREGISTER_DTL);
        scene.call(DEREGISTER_VPA);
        scene.reuse();
    };
    every_order(&[REGISTER_VPA, REGISTER_DTL], [turn, take_back], untouched);
}

#[test]
fn nothing_is_written_for_a_processor_that_stopped() {
    let stop: Act = |scene| {
        scene.vpa.reset();
        scene.reuse();
    };
    every_order(&[REGISTER_VPA, REGISTER_DTL], [turn, stop], untouched);
}

#[test]
fn an_area_that_is_registered_meanwhile_tells_whether_the_processor_runs() {
    fn count(scene: &Scene) -> u32 {
        let count = scene.memory.ram.be32(AT + VPA_DISPATCHES);
        assert_eq!(scene.vpa.yield_count(), Some(count));
        count
    }
    let register: Act = |scene| scene.call(REGISTER_VPA);
    every_order(&[], [turn, register], |scene| assert_eq!(count(scene) % 2, 0));
    every_order(&[], [|scene| scene.vpa.ceded(&scene.memory, 10), register], |scene| assert_eq!(count(scene) % 2, 1));
}

#[test]
fn a_log_that_is_registered_meanwhile_has_what_its_number_says() {
    every_order(&[REGISTER_VPA], [turn, |scene| scene.call(REGISTER_DTL)], |scene| {
        let written = scene.memory.ram.be64(AT + VPA_LOG_INDEX);
        assert_eq!(written, u64::from(scene.memory.ram.be64(LOG_AT + 16) == 20));
    });
}
