//! The same guest twice, in two partitions that take turns on one CPU: for tests of what a switch between two vCPUs loses or lets through
//! (`samewise.twins=on`).
//!
//! They take turns at each exit that ends a stay, and every second one does, whether or not the short way could have resolved it. So registers that no exit
//! stores are exchanged far more often than a scheduler would have it.

use crate::below::Platform;
use crate::boot::fdt::Machine as Host;
use crate::boot::payload::Payload;
use crate::boot::refusal::Refusal;
use crate::crew;
use crate::guest::{self, Guest};
use crate::hardware::Machine as Hardware;
use crate::host::Around;
use alloc::boxed::Box;
use core::cell::RefCell;
use hv_core::guest::cmdline::Options;
use hv_core::guest::host::{Next, Short};
use hv_core::guest::processors::Processor;
use hv_core::guest::{Counters, Ended, Exit, Machine, Parting, Runner, StopReason, Vcpu, World};
use hv_core::hash;
use hv_core::mmu::{Memory, Seat, StorageFault};

/// One of the two: what runs it, and its only processor.
struct Twin<'m, P: Platform> {
    runner: Runner<'m, InTurns<'m, P::World>, Around, Seat<'m, 'm, Hardware>>,
    machine: &'m Machine,
    processor: &'m Processor,
    /// It called H_CEDE, and has had no reason to run since.
    sleeps: bool,
    ended: Option<Ended>,
}

impl<P: Platform> Twin<'_, P> {
    /// Enters it once, unless it sleeps.
    fn turn(&mut self) {
        let mut vcpu = self.processor.vcpu.lock();
        if self.sleeps && !self.runner.has_reason_to_run(0, self.processor, vcpu.dec_expiry) {
            return;
        }
        self.sleeps = false;
        match self.runner.turn(&mut vcpu) {
            Some(Parting::Ceded) => self.sleeps = true,
            Some(Parting::Over) => self.ended = self.machine.ended(),
            Some(Parting::Stopped) => self.ended = Some(Ended::Stopped(StopReason::AllStopped)),
            _ => {}
        }
        _ = self.runner.parted(self.processor, &mut vcpu, Parting::Over);
    }
}

/// Runs both to their ends. Neither can begin anew.
///
/// # Errors
/// [`Refusal`]: one of them cannot be.
pub fn run<P: Platform>(
    host: &Host,
    payload: &Payload,
    options: &Options,
    memory: &Memory<Hardware>,
) -> Result<Ended, Refusal> {
    let cpu = host.pvr.cpu().ok_or(Refusal::Processor(host.pvr))?;
    let world = RefCell::new(P::world(host, cpu));
    let plan = |name, number, options| twin::<P>(Names { name, number }, options, host, payload, memory, &world);
    let mut twins = [plan("first: ", 0, options.clone())?, plan("second: ", 1, options.of_twin())?];
    loop {
        for twin in twins.iter_mut().filter(|twin| twin.ended.is_none()) {
            twin.turn();
        }
        if let [Some(first), Some(second)] = twins.each_ref().map(|twin| twin.ended) {
            return Ok(if first == Ended::PowerOff { second } else { first });
        }
    }
}

/// Which of the two.
struct Names {
    name: &'static str,
    number: u32,
}

/// One of them, before its first instruction. All of it stays on the heap: the machine is switched off when the twins have ended.
#[cold]
#[inline(never)]
fn twin<'m, P: Platform>(
    Names { name, number }: Names,
    options: Options,
    host: &'m Host,
    payload: &'m Payload,
    memory: &'m Memory<Hardware>,
    world: &'m RefCell<P::World>,
) -> Result<Twin<'m, P>, Refusal> {
    let around = &*Box::leak(Box::new(P::host(host, P::terminal(host)).named(name)));
    let guest = Guest::<P>::plan(guest::LPID + number, host, payload, options.clone(), memory, around)?;
    let space = on_heap(|| guest.space(memory, &options, None))?;
    // Each has a share of this CPU's own: its frames, its counters.
    let share = || crew::cpu(crate::memory::index(u64::from(number)), options.ahead);
    let seat = on_heap(|| Ok(Seat::new(space, share()?)))?;
    let machine = on_heap(|| guest.begin(seat, around, guest.listen(), 1))?;
    let processor = machine.processor(0).ok_or(Refusal::NoFrames)?;
    let counters: &mut Counters = Box::leak(Box::default());
    let world = Box::leak(Box::new(InTurns { world, exits: 0 }));
    let mut runner = Runner::new(0, world, around, seat, machine, counters);
    // Nobody else takes it from the scheduler.
    _ = machine.sched.next(0, &machine.kicks(0, around));
    runner.dispatched(processor, &mut processor.vcpu.lock());
    Ok(Twin { runner, machine, processor, sleeps: false, ended: None })
}

/// Makes something large that stays. A function of its own, so that what is made does not stand on the stack of the next one's.
#[inline(never)]
fn on_heap<'m, T: 'm>(make: impl FnOnce() -> Result<T, Refusal>) -> Result<&'m T, Refusal> {
    Ok(&*Box::leak(Box::new(make()?)))
}

/// One twin's use of the world that both share.
pub struct InTurns<'m, W> {
    world: &'m RefCell<W>,
    exits: u64,
}

impl<W: World> World for InTurns<'_, W> {
    fn enter<S: Short>(&mut self, vcpu: &mut Vcpu, deadline: u64, short: &mut S) -> Exit {
        let mut world = self.world.borrow_mut();
        let exit = world.enter(vcpu, deadline, &mut EverySecond { short, exits: &mut self.exits });
        // The other one may be next.
        world.put_away(vcpu);
        exit
    }

    fn put_away(&mut self, vcpu: &mut Vcpu) {
        self.world.borrow_mut().put_away(vcpu);
    }

    fn idle(&mut self, deadline: u64) {
        // The other one has something to do.
        let now = ppc64_arch::cpu::timebase();
        self.world.borrow_mut().idle(deadline.min(now));
    }

    fn relax(&mut self) {
        self.world.borrow_mut().relax();
    }
}

/// Has every second exit end the stay.
struct EverySecond<'s, S> {
    short: &'s mut S,
    exits: &'s mut u64,
}

impl<S: Short> EverySecond<'_, S> {
    fn is_second(&mut self) -> bool {
        *self.exits += 1;
        self.exits.is_multiple_of(2)
    }
}

impl<S: Short> Short for EverySecond<'_, S> {
    fn storage(&mut self, vcpu: &mut Vcpu, fault: &StorageFault) -> Next {
        if self.is_second() { Next::Whole } else { self.short.storage(vcpu, fault) }
    }

    fn hash_storage(&mut self, vcpu: &mut Vcpu, fault: &hash::Fault) -> Next {
        if self.is_second() { Next::Whole } else { self.short.hash_storage(vcpu, fault) }
    }

    fn call(&mut self, vcpu: &mut Vcpu) -> Next {
        if self.is_second() { Next::Whole } else { self.short.call(vcpu) }
    }
}
