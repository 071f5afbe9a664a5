//! The run loop of one vCPU: enter, find out why it left, do what that asks for, enter again.
//!
//! Two clocks bound each stay in the guest. The time slice ends it so that devices are looked at, however often the guest leaves for
//! other reasons. And while an interrupt waits for a guest that has MSR\[EE\] off, stays are short: nothing tells us when EE comes
//! on. (LPCR\[MER\] would, where it is honoured; it is set as well.)

use super::hcall::{self, Call};
use super::host::{Exit, FaultHandler, GuestMemory, Host, World};
use super::inject::{Interrupt, deliver};
use super::machine::{Flow, Machine, StopReason};
use super::stats::Counters;
use super::vcpu::Vcpu;
use super::xics::VTY_SOURCE;
use crate::mmu::{Access, Resolution, StorageFault};
use ppc64_arch::spr::LPCR;
use ppc64_arch::trap::{Msr, Srr1};

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

/// Slices a second: how soon a device is seen to that does not interrupt us.
const SLICES: u64 = 100;
/// Looks a second while an interrupt waits for MSR\[EE\].
const SHORT_SLICES: u64 = 5000;
/// How often a fault asks again about a page that another CPU works on, before the guest asks itself.
const WAITS: u32 = 1000;

/// Runs `vcpu` until the guest ends.
pub fn run<W: World, H: Host, M: GuestMemory + FaultHandler>(
    world: &mut W,
    host: &H,
    memory: &M,
    machine: &mut Machine,
    vcpu: &mut Vcpu,
    counters: &mut Counters,
) -> Ended {
    let mut runner = Runner::new(world, host, memory, machine, vcpu, counters);
    loop {
        if let Some(ended) = runner.turn() {
            return ended;
        }
    }
}

/// One vCPU with all that it runs on, so that somebody else can decide when it does.
pub struct Runner<'a, W, H, M> {
    world: &'a mut W,
    host: &'a H,
    memory: &'a M,
    machine: &'a mut Machine,
    vcpu: &'a mut Vcpu,
    counters: &'a mut Counters,
    /// Host timebase at which devices are looked at next.
    next_look: u64,
    storm: Storm,
}

impl<'a, W: World, H: Host, M: GuestMemory + FaultHandler> Runner<'a, W, H, M> {
    /// Runs nothing yet.
    pub fn new(
        world: &'a mut W,
        host: &'a H,
        memory: &'a M,
        machine: &'a mut Machine,
        vcpu: &'a mut Vcpu,
        counters: &'a mut Counters,
    ) -> Self {
        Self { world, host, memory, machine, vcpu, counters, next_look: 0, storm: Storm::default() }
    }

    /// Enters the guest, and does what its exit asks for, a sleep included; how the guest ended, if it did.
    pub fn turn(&mut self) -> Option<Ended> {
        match self.step() {
            Flow::Resume => {}
            Flow::Idle => self.sleep(),
            Flow::PowerOff => return Some(Ended::PowerOff),
            Flow::Reboot => return Some(Ended::Reboot),
            Flow::GuestPanic => return Some(Ended::GuestPanic),
            Flow::Stop(why) => return Some(Ended::Stopped(why)),
        }
        None
    }

    fn step(&mut self) -> Flow {
        let deadline = self.before_entry();
        self.counters.entries += 1;
        self.memory.entering();
        let exit = self.world.enter(self.vcpu, deadline);
        self.memory.left();
        self.counters.exit(&exit);
        if self.vcpu.in_problem_state() && self.counters.first_user_exit_tb.is_none() {
            self.counters.first_user_exit_tb = Some(self.host.timebase());
        }
        self.handle(exit)
    }

    /// Delivers what can be delivered; the deadline of the stay.
    fn before_entry(&mut self) -> u64 {
        let now = self.host.timebase();
        let hz = self.host.timebase_hz();
        if now >= self.next_look {
            self.look_at_devices();
            self.next_look = now.saturating_add((hz / SLICES).max(1));
        }
        self.vcpu.set_lpcr(LPCR::MER::CLEAR);
        if !self.machine.xics.is_pending(self.vcpu.id) {
            return self.next_look;
        }
        if self.vcpu.interrupts_on() {
            deliver(self.vcpu, Interrupt::External);
            self.counters.delivered += 1;
        } else {
            self.vcpu.set_lpcr(LPCR::MER::SET);
        }
        self.next_look.min(now.saturating_add((hz / SHORT_SLICES).max(1)))
    }

    fn handle(&mut self, exit: Exit) -> Flow {
        match exit {
            Exit::Hcall => return self.hypervisor_call(),
            Exit::Storage(fault) => return self.storage(&fault),
            Exit::Hdec | Exit::External => self.look_at_devices(),
            Exit::Emulation(_) | Exit::Facility(_) => deliver(self.vcpu, Interrupt::ILLEGAL),
            Exit::SystemReset => {
                warning!("system reset: the guest is told");
                deliver(self.vcpu, Interrupt::SystemReset);
            }
            Exit::MachineCheck(cause) => return self.machine_check(cause),
            Exit::Unexpected(vector) => return Flow::Stop(StopReason::Unexpected(vector)),
            Exit::Failed(code) => return Flow::Stop(StopReason::EntryFailed(code)),
        }
        Flow::Resume
    }

    fn hypervisor_call(&mut self) -> Flow {
        hcall::handle(&mut Call {
            vcpu: self.vcpu,
            machine: self.machine,
            host: self.host,
            memory: self.memory,
            counters: self.counters,
        })
    }

    fn storage(&mut self, fault: &StorageFault) -> Flow {
        if self.storm.is_stuck(self.vcpu, fault) {
            let nip = self.vcpu.regs.nip;
            error!("no progress: nip {=u64:#x}, address {=u64:#x}", nip, fault.ea.raw());
            return Flow::Stop(StopReason::NoProgress { nip });
        }
        for _ in 0..WAITS {
            match self.memory.fault(fault) {
                Resolution::Resume => return Flow::Resume,
                Resolution::Wait(_) => {
                    self.counters.waited += 1;
                    self.world.relax();
                }
                Resolution::Reflect(why) => {
                    self.counters.reflected += 1;
                    deliver(self.vcpu, Interrupt::from_fault(fault, why));
                    return Flow::Resume;
                }
                Resolution::OutOfMemory => return Flow::Stop(StopReason::OutOfMemory),
                Resolution::MachineError => return Flow::Stop(StopReason::MachineError),
            }
        }
        Flow::Resume
    }

    fn machine_check(&mut self, cause: u64) -> Flow {
        error!("machine check in the guest: SRR1 {=u64:#x}", cause);
        if !self.vcpu.msr().contains(Msr::ME) {
            return Flow::Stop(StopReason::Checkstop);
        }
        deliver(self.vcpu, Interrupt::MachineCheck(Srr1::from_bits_retain(cause)));
        Flow::Resume
    }

    /// H_CEDE: sleeps until there is an interrupt, the decrementer turns negative, or H_PROD came.
    fn sleep(&mut self) {
        let mut slept = false;
        loop {
            self.look_at_devices();
            let now = self.host.timebase();
            if self.has_reason_to_run(now) {
                if slept {
                    self.vcpu.mark_dispatched(self.memory, now);
                }
                return;
            }
            if !slept {
                slept = true;
                self.counters.idles += 1;
                self.vcpu.mark_yielded(self.memory, now);
            }
            self.world.idle(self.vcpu, Some(self.wake_time(now)));
        }
    }

    fn has_reason_to_run(&mut self, now: u64) -> bool {
        self.machine.xics.is_pending(self.vcpu.id)
            || self.vcpu.decrementer_expired(now)
            || core::mem::take(&mut self.vcpu.prodded)
    }

    fn wake_time(&self, now: u64) -> u64 {
        match self.machine.settings.console_poll {
            Some(ticks) => self.vcpu.dec_expiry.min(now.saturating_add(ticks)),
            None => self.vcpu.dec_expiry,
        }
    }

    fn look_at_devices(&mut self) {
        self.machine.vty.flush(self.host);
        if self.machine.vty.draw(self.host) {
            let known = self.machine.xics.signal(VTY_SOURCE, true);
            debug_assert!(known.is_ok(), "the terminal's source is there from the beginning");
        }
    }
}

/// Finds a guest that meets the same storage interrupt for ever, with not one register changed between two of them. Problem state is left
/// alone: a program must not be able to end its kernel.
#[derive(Default)]
struct Storm {
    /// Instruction, address, and kind of the last fault.
    last: Option<(u64, u64, Access)>,
    /// A digest of the general registers at it; made only from its second time on.
    registers: u64,
    repeats: u32,
}

impl Storm {
    /// So many times prove it.
    const LIMIT: u32 = 1000;

    fn is_stuck(&mut self, vcpu: &Vcpu, fault: &StorageFault) -> bool {
        let this = Some((vcpu.regs.nip, fault.ea.raw(), fault.access));
        if self.last != this || vcpu.in_problem_state() {
            *self = Self { last: this, ..Self::default() };
            return false;
        }
        let registers = vcpu.regs.gpr.iter().fold(vcpu.regs.msr, |sum, gpr| sum.rotate_left(7) ^ gpr);
        if self.registers != registers {
            self.registers = registers;
            self.repeats = 0;
        }
        self.repeats += 1;
        self.repeats >= Self::LIMIT
    }
}

#[cfg(test)]
mod tests;
