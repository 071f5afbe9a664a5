//! The run loop of one CPU at one guest: take a vCPU from the scheduler, enter, find out why it left, do what that asks for, enter again, until it makes way for another.
//!
//! ```text
//!   sched.next ──► dispatched ──► turn, turn, turn ... ──► put away ──► requeue   its slice is over, and somebody waits
//!       │                                                          ├──► block     H_CEDE, or a fault that waits for another CPU
//!       └─ nobody: sleep                                           ├──► stop      stop-self
//!                                                                  └──► over      the guest has ended
//! ```
//!
//! Clocks bound each stay in the guest. The time slice ends it so that others get their turn and devices are looked at, however often the guest leaves for
//! other reasons. A vCPU that was woken for this CPU does not wait for the slice's end: it slept, and is let in after a millisecond. The earliest time for which a vCPU that sleeps here wants to be woken is
//! one more. And while an interrupt waits for a guest that has MSR\[EE\] off, stays are short: nothing tells us when EE comes
//! on. (LPCR\[MER\] would, where it is honoured; it is set as well.)
//!
//! Where the platform can, calls and storage interrupts take the short way (`run/short.rs`): they are handled with most of the guest's registers
//! still in the CPU, and only what that cannot finish comes to the loop.
//!
//! | file | what |
//! | --- | --- |
//! | `stay` | one stay: interrupts delivered before it, the exit handled |
//! | `short` | the short way |
//! | `desk` | what both work with |
//! | `storm` | guests that get nowhere |

mod desk;
mod short;
mod stay;
mod storm;

use super::host::{FaultHandler, GuestMemory, Host, World};
use super::machine::{Machine, StopReason};
use super::processors::Processor;
use super::stats::Counters;
use super::vcpu::Vcpu;
use super::vpa::{Dispatch, Reason};
use desk::Desk;
pub use storm::Storm;

/// How a guest's run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It switched itself off.
    PowerOff,
    /// It wants to begin anew.
    Reboot,
    /// Its kernel gave up.
    GuestPanic,
    /// It could not go on.
    Stopped(StopReason),
}

/// Why a vCPU leaves its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// Its slice is over, and another one waits.
    Preempted,
    /// It has nothing to do.
    Ceded,
    /// It gave its time away.
    Conferred(Option<u32>),
    /// A fault of it waits for another CPU.
    Waits,
    /// It stopped itself.
    Stopped,
    /// The guest has ended.
    Over,
}

/// Slices a second: how soon others get their turn, and a device is seen to that does not interrupt us.
const SLICES: u64 = 100;
/// The part of a second that a vCPU runs at least before one that was woken may have its place.
const UNDISTURBED: u64 = 1000;
/// The part of a second after which a vCPU whose fault waits tries again though nobody woke it.
const LONG_WAIT: u64 = 1000;
/// The longest sleep of a CPU, in seconds: nothing depends on it.
const LONGEST_SLEEP: u64 = 1;

/// One CPU at one guest.
pub struct Runner<'a, W, H, M> {
    world: &'a mut W,
    desk: Desk<'a, H, M>,
    /// Host timebase at which the present vCPU got the CPU.
    since: u64,
    /// Host timebase at which its slice is over.
    until: u64,
    /// Done at the end of each slice, outside the guest.
    between: Option<&'a mut dyn FnMut()>,
    /// The earliest time for which a vCPU that is blocked wants to be woken by this CPU.
    due: u64,
}

impl<'a, W: World, H: Host, M: GuestMemory + FaultHandler> Runner<'a, W, H, M> {
    /// CPU number `cpu`, which runs nothing yet.
    pub fn new(
        cpu: usize,
        world: &'a mut W,
        host: &'a H,
        memory: &'a M,
        machine: &'a Machine,
        counters: &'a mut Counters,
    ) -> Self {
        let desk = Desk { cpu, host, memory, machine, counters, begun: None };
        Self { world, desk, between: None, since: 0, until: 0, due: 0 }
    }

    /// The same, which does `work` at the end of each slice, and as often while it sleeps.
    #[must_use]
    pub fn with_work(self, work: &'a mut dyn FnMut()) -> Self {
        Self { between: Some(work), ..self }
    }

    /// Runs vCPUs until the guest has ended ([`Machine::ended`] says how).
    pub fn run(&mut self) {
        let machine = self.desk.machine;
        machine.look_at_devices(self.desk.cpu, self.desk.host);
        while !machine.sched.has_ended() {
            let now = self.now();
            self.look_at_clock(now);
            match machine.sched.next(self.desk.cpu, &machine.kicks(self.desk.cpu, self.desk.host)) {
                Some(id) => self.give(id),
                None => self.sleep(),
            }
        }
    }

    /// Gives this CPU to vCPU `id` until it makes way.
    fn give(&mut self, id: usize) {
        let machine = self.desk.machine;
        let Some(processor) = machine.processor(id as u64) else { return };
        loop {
            let mut vcpu = processor.vcpu.lock();
            self.dispatched(processor, &mut vcpu);
            let parting = loop {
                if let Some(parting) = self.turn(&mut vcpu) {
                    break parting;
                }
            };
            let expiry = self.parted(processor, &mut vcpu, parting);
            // Whoever runs it next finds it free.
            drop(vcpu);
            if self.hand_on(id, processor, parting, expiry) {
                return;
            }
        }
    }

    /// Tells everybody that `vcpu` has this CPU from now on.
    pub fn dispatched(&mut self, processor: &Processor, vcpu: &mut Vcpu) {
        let now = self.now();
        self.begin_slice(now);
        self.desk.counters.dispatches += 1;
        self.desk.counters.moves += u64::from(vcpu.cpu != self.desk.cpu);
        vcpu.cpu = self.desk.cpu;
        let reason = self.reason(processor, vcpu, now);
        if core::mem::take(&mut vcpu.ceded) {
            // What it returns to is the end of a sleep, for whatever reason: a prod is used up by it.
            processor.take_prod();
        }
        let dispatch = Dispatch {
            cpu: u32::try_from(self.desk.cpu).unwrap_or(u32::MAX),
            nip: vcpu.regs.nip,
            msr: vcpu.regs.msr,
            now,
            ready_since: processor.dispatched(now, vcpu.dec_expiry),
            reason,
        };
        processor.vpa.dispatched(self.desk.memory, &dispatch);
    }

    /// Why `vcpu` runs from `now` on, as far as it can be told.
    fn reason(&self, processor: &Processor, vcpu: &Vcpu, now: u64) -> Reason {
        match () {
            () if self.desk.machine.xics.is_pending(vcpu.id) => Reason::Interrupt,
            () if processor.has_mail() => Reason::Prodded,
            () if vcpu.decrementer_expired(now) => Reason::Decrementer,
            () => Reason::TimeSlice,
        }
    }

    /// Takes `vcpu` out of this CPU, and tells the guest so; when its decrementer expires.
    pub fn parted(&mut self, processor: &Processor, vcpu: &mut Vcpu, parting: Parting) -> u64 {
        self.world.put_away(vcpu);
        let now = self.now();
        match parting {
            Parting::Preempted | Parting::Waits => {
                processor.ready(now);
                processor.vpa.preempted(self.desk.memory, now);
            }
            Parting::Conferred(_) => {
                processor.ready(now);
                processor.vpa.conferred(self.desk.memory, now);
            }
            Parting::Ceded => {
                vcpu.ceded = true;
                processor.vpa.ceded(self.desk.memory, now);
            }
            Parting::Stopped => {
                processor.vpa.reset();
                if let Ok(wakes) = self.desk.machine.xics.reset_server(vcpu.id) {
                    self.desk.machine.wake(wakes.mask(), self.desk.cpu, self.desk.host);
                }
            }
            Parting::Over => {}
        }
        vcpu.dec_expiry
    }

    /// Hands vCPU `id` back to the scheduler. False: it has reason to run on here.
    fn hand_on(&mut self, id: usize, processor: &Processor, parting: Parting, expiry: u64) -> bool {
        let (sched, cpu) = (&self.desk.machine.sched, self.desk.cpu);
        match parting {
            Parting::Preempted => {
                self.desk.counters.preemptions += 1;
                sched.requeue(id, cpu);
            }
            Parting::Conferred(to) => {
                // To nobody who waits: then to whoever is next.
                let _taken = to.is_some_and(|to| sched.confer(to as usize, cpu));
                sched.requeue(id, cpu);
            }
            Parting::Ceded => return self.block(id, processor, expiry),
            Parting::Waits => {
                self.desk.counters.put_aside += 1;
                let again = self.now().saturating_add(self.hz() / LONG_WAIT);
                if sched.block(id, cpu, again) {
                    self.due = self.due.min(again);
                } else {
                    sched.requeue(id, cpu);
                }
            }
            Parting::Stopped => {
                if sched.stop(id, cpu) == 0 {
                    let ended = Ended::Stopped(StopReason::AllStopped);
                    self.desk.machine.end(ended, cpu, self.desk.host);
                }
            }
            // Nobody runs anything any more.
            Parting::Over => {}
        }
        true
    }

    /// H_CEDE: it is blocked until there is an interrupt, its decrementer turns negative, or H_PROD came. A wake that comes between the look and the block
    /// makes the block fail, and then there is another look.
    fn block(&mut self, id: usize, processor: &Processor, expiry: u64) -> bool {
        while !self.has_reason_to_run(id, processor, expiry) {
            if self.desk.machine.sched.block(id, self.desk.cpu, expiry) {
                self.desk.counters.idles += 1;
                self.due = self.due.min(expiry);
                return true;
            }
        }
        false
    }

    /// Whether there is something that ends vCPU `id`'s sleep. Its decrementer turns negative at `expiry`.
    pub fn has_reason_to_run(&self, id: usize, processor: &Processor, expiry: u64) -> bool {
        let server = u32::try_from(id).unwrap_or(u32::MAX);
        self.desk.machine.xics.is_pending(server) || self.now() >= expiry || processor.has_mail()
    }

    /// Nobody wants this CPU: it sleeps until somebody does.
    fn sleep(&mut self) {
        let machine = self.desk.machine;
        machine.look_at_devices(self.desk.cpu, self.desk.host);
        if !machine.sched.going_to_sleep(self.desk.cpu) {
            return;
        }
        self.desk.counters.sleeps += 1;
        let now = self.now();
        let poll = match (&self.between, machine.settings.console_poll) {
            (Some(_), _) => self.hz() / SLICES,
            (None, Some(ticks)) => ticks,
            (None, None) => self.hz().saturating_mul(LONGEST_SLEEP),
        };
        self.world.idle(self.due.min(now.saturating_add(poll)));
        machine.sched.woke(self.desk.cpu);
        self.work();
        machine.look_at_devices(self.desk.cpu, self.desk.host);
    }

    /// The end of the next stay, if nothing else ends it.
    fn deadline(&self) -> u64 {
        let until = self.until.min(self.due);
        if self.desk.machine.sched.is_wanted(self.desk.cpu) { until.min(self.undisturbed()) } else { until }
    }

    /// Until when the present vCPU runs though another one was woken.
    fn undisturbed(&self) -> u64 {
        self.since.saturating_add((self.hz() / UNDISTURBED).max(1))
    }

    /// Whether the present vCPU has had its time, and somebody else wants some. Without anybody it begins another slice.
    fn is_over(&mut self) -> Option<Parting> {
        let sched = &self.desk.machine.sched;
        if sched.has_ended() {
            return Some(Parting::Over);
        }
        let now = self.now();
        self.look_at_clock(now);
        let wanted = sched.is_wanted(self.desk.cpu);
        if now < self.until && !(wanted && now >= self.undisturbed()) {
            return None;
        }
        self.desk.machine.look_at_devices(self.desk.cpu, self.desk.host);
        self.work();
        if sched.is_contended(self.desk.cpu) {
            return Some(Parting::Preempted);
        }
        self.begin_slice(now);
        None
    }

    fn work(&mut self) {
        if let Some(work) = &mut self.between {
            work();
        }
    }

    fn begin_slice(&mut self, now: u64) {
        self.since = now;
        self.until = now.saturating_add((self.hz() / SLICES).max(1));
    }

    /// Wakes vCPUs whose time has come. Only this CPU's own blocks make the next time earlier, and they say so.
    fn look_at_clock(&mut self, now: u64) {
        if now >= self.due {
            self.due = self.desk.machine.sched.due(
                self.desk.cpu,
                now,
                &self.desk.machine.kicks(self.desk.cpu, self.desk.host),
            );
        }
    }

    fn now(&self) -> u64 {
        self.desk.host.timebase()
    }

    fn hz(&self) -> u64 {
        self.desk.host.timebase_hz()
    }
}

#[cfg(test)]
mod tests;
