//! One of the two guests, as all CPUs see it.

use super::chair::Chair;
use super::world::InTurns;
use crate::below::Platform;
use crate::boot::fdt::Machine as Host;
use crate::boot::payload::Payload;
use crate::boot::refusal::Refusal;
use crate::crew::{self, Home};
use crate::guest::{self, Guest};
use crate::hardware::Machine as Hardware;
use crate::host::Around;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicUsize, Ordering};
use hv_core::guest::cmdline::Options;
use hv_core::guest::processors::Processor;
use hv_core::guest::{Counters, Ended, Machine, Parting, Runner, StopReason, Vcpu, World};
use hv_core::hash::pool::FromPool;
use hv_core::mmu::Seat;
use hv_core::mmu::stats::Stats;
use spin::Mutex;

/// A guest with one processor.
pub struct Twin<'m> {
    /// Which of them.
    pub which: Which,
    /// The machine around it.
    pub around: &'m Around,
    /// Its memory.
    pub home: Home<'m, 'm>,
    /// What runs it.
    pub machine: &'m Machine,
    /// Whether its faults may make more than one page.
    ahead: bool,
    processor: &'m Processor,
    cpus: usize,
    /// The CPU whose it is. Relaxed: what the one before it did is seen through the lock of `state`.
    place: AtomicUsize,
    state: Mutex<State>,
    /// What was counted on the CPUs that have left it.
    counted: Mutex<(Counters, Stats)>,
}

/// Which of the two.
#[derive(Clone, Copy)]
pub struct Which {
    /// Its name in a report.
    pub name: &'static str,
    /// What stands before its lines on the console.
    pub before: &'static str,
    /// 0 or 1.
    pub number: u32,
    /// So many turns it has on one CPU, before it goes to the next.
    pub stay: u64,
}

/// What the CPU whose it is knows of it.
#[derive(Default)]
struct State {
    turns: u64,
    /// The scheduler gave it to this CPU.
    taken: bool,
    /// It was told that it is here, and nothing else since.
    told: bool,
    /// It called H_CEDE, and has had no reason to run since: when its decrementer wakes it.
    sleeps: Option<u64>,
}

/// What runs a twin on one CPU.
pub type OnCpu<'a, 'm, W> = Runner<'a, InTurns<'a, W>, Around, Chair<'m>>;

impl<'m> Twin<'m> {
    /// Before its first instruction, for so many CPUs. All of it stays on the heap: the machine is switched off when the twins have ended.
    ///
    /// # Errors
    /// [`Refusal`]: it cannot be.
    #[cold]
    #[inline(never)]
    pub fn plan<P: Platform>(
        which: Which,
        options: &Options,
        host: &Host,
        payload: &Payload,
        room: &'m FromPool<'m, Hardware>,
        cpus: usize,
    ) -> Result<Self, Refusal> {
        let memory = room.memory();
        let around = on_heap(|| Ok(P::host(host, P::terminal(host)).named(which.before)))?;
        let mut guest = Guest::<P>::plan(guest::LPID + which.number, host, payload, options.clone(), room, around)?;
        let tables = guest.tables(room)?;
        let home = Home { space: on_heap(|| guest.space(memory, options, tables))?, tables };
        guest.is_at(home);
        let seat = Seat::new(home.space, crew::cpu(0, options.ahead)?);
        let machine = on_heap(|| guest.begin(&seat, around, guest.listen(), cpus))?;
        let mut cpu = seat.leave();
        cpu.frames.drain(&memory.pool);
        Ok(Self {
            which,
            around,
            home,
            machine,
            ahead: options.ahead,
            processor: machine.processor(0).ok_or(Refusal::NoFrames)?,
            cpus,
            place: AtomicUsize::new(0),
            state: Mutex::default(),
            counted: Mutex::new((Counters::default(), cpu.counted())),
        })
    }

    /// CPU number `cpu` at its memory.
    ///
    /// # Errors
    /// [`Refusal`]: it cannot be there.
    pub fn chair(&self, cpu: usize) -> Result<Chair<'m>, Refusal> {
        Chair::new(self.home, crew::cpu(cpu, self.ahead)?)
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.machine.sched.has_ended()
    }

    /// Whether it is to run on CPU number `cpu`, which asks.
    pub fn is_on(&self, cpu: usize) -> bool {
        self.place.load(Ordering::Relaxed) == cpu && !self.has_ended()
    }

    /// One turn on CPU number `cpu`, whose it is. If it sleeps instead: until when, unless something else wakes it.
    #[inline(never)]
    pub fn turn<W: World>(&self, cpu: usize, runner: &mut OnCpu<'_, '_, W>) -> Option<u64> {
        // The CPU before this one may hold it still: giving the twin away is the last that it does.
        let mut state = self.state.lock();
        if !state.taken {
            state.taken = self.machine.sched.next(cpu, &self.machine.kicks(cpu, self.around)).is_some();
        }
        let mut vcpu = self.processor.vcpu.lock();
        if let Some(expiry) = state.sleeps.filter(|expiry| !runner.has_reason_to_run(0, self.processor, *expiry)) {
            self.machine.look_at_devices(cpu, self.around);
            return Some(expiry);
        }
        state.turns += 1;
        let goes = self.cpus > 1 && state.turns.is_multiple_of(self.which.stay);
        let parting = self.enter(runner, &mut vcpu, !state.told, goes);
        state.told = parting.is_none();
        state.sleeps = (parting == Some(Parting::Ceded)).then_some(vcpu.dec_expiry);
        drop(vcpu);
        if parting == Some(Parting::Stopped) {
            self.give_up(cpu);
        }
        if goes {
            self.hand_over(cpu, &mut state);
        }
        None
    }

    /// Enters it once, and puts it away; why it makes way, if it does. One that comes, from another CPU or from sleep, is told that it was dispatched; one that goes, that it was preempted. Of the other's turns on this CPU
    /// it is told nothing.
    fn enter<W: World>(
        &self,
        runner: &mut OnCpu<'_, '_, W>,
        vcpu: &mut Vcpu,
        comes: bool,
        goes: bool,
    ) -> Option<Parting> {
        if comes {
            runner.dispatched(self.processor, vcpu);
        }
        let parting = runner.turn(vcpu).or(goes.then_some(Parting::Preempted));
        runner.parted(self.processor, vcpu, parting.unwrap_or(Parting::Over));
        parting
    }

    /// Gives it to the next CPU, which may sleep.
    fn hand_over(&self, cpu: usize, state: &mut State) {
        self.machine.sched.requeue(0, cpu);
        state.taken = false;
        let next = (cpu + 1) % self.cpus;
        self.place.store(next, Ordering::Relaxed);
        crate::cpus::kick(next);
    }

    /// It cannot go on.
    pub fn give_up(&self, cpu: usize) {
        self.machine.end(Ended::Stopped(StopReason::AllStopped), cpu, self.around);
    }

    /// A CPU that has counted this does not come to it any more.
    pub fn left(&self, counters: &Counters, stats: &Stats) {
        let mut counted = self.counted.lock();
        counted.0.merge(counters);
        counted.1.merge(stats);
    }

    /// What all CPUs counted of it.
    pub fn counted(&self) -> (Counters, Stats) {
        self.counted.lock().clone()
    }

    /// How it ended.
    pub fn ended(&self) -> Ended {
        self.machine.ended().unwrap_or(Ended::Stopped(StopReason::AllStopped))
    }
}

/// Makes something large that stays. A function of its own, so that what is made does not stand on the stack of the next one's.
#[inline(never)]
fn on_heap<'m, T: 'm>(make: impl FnOnce() -> Result<T, Refusal>) -> Result<&'m T, Refusal> {
    Ok(&*Box::leak(Box::new(make()?)))
}
