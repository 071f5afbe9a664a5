//! The run loop of one vCPU: enter, find out why it left, do what that asks for, enter again.
//!
//! Two clocks bound each stay in the guest. The time slice ends it so that devices are looked at, however often the guest leaves for
//! other reasons. And while an interrupt waits for a guest that has MSR\[EE\] off, stays are short: nothing tells us when EE comes
//! on. (LPCR\[MER\] would, where it is honoured; it is set as well.)
//!
//! Where the platform can, calls and storage interrupts take the short way (`run/short.rs`): they are handled with most of the guest's registers
//! still in the CPU, and only what that cannot finish comes to the loop.

mod short;

use super::hcall::{self, Call};
use super::host::{Exit, FaultHandler, GuestMemory, Host, MachineError, World};
use super::inject::{Interrupt, deliver};
use super::machine::{Flow, Machine, StopReason};
use super::stats::Counters;
use super::vcpu::Vcpu;
use super::xics::VTY_SOURCE;
use crate::mmu::{Access, Resolution, StorageFault};
use ppc64_arch::mce::{Severity, can_go_on};
use ppc64_arch::spr::LPCR;
use ppc64_arch::trap::{Dsisr, Msr, Srr1};

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
    vcpu: &'a mut Vcpu,
    desk: Desk<'a, H, M>,
    /// Host timebase at which devices are looked at next.
    next_look: u64,
}

/// All that an exit is handled with, but for the vCPU itself.
struct Desk<'a, H, M> {
    host: &'a H,
    memory: &'a M,
    machine: &'a mut Machine,
    counters: &'a mut Counters,
    storm: Storm,
    /// What the short way began and could not finish.
    begun: Option<Begun>,
}

/// An exit that was handled in part.
enum Begun {
    /// The call was made; this is what happens next.
    Call(Flow),
    /// The fault was looked at; this is what became of it.
    Storage(StorageFault, Resolution),
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
        let desk = Desk { host, memory, machine, counters, storm: Storm::default(), begun: None };
        Self { world, vcpu, desk, next_look: 0 }
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
        self.desk.counters.entries += 1;
        self.desk.memory.entering();
        let exit = self.world.enter(self.vcpu, deadline, &mut self.desk);
        self.desk.memory.left();
        if self.vcpu.in_problem_state() && self.desk.counters.first_user_exit_tb.is_none() {
            self.desk.counters.first_user_exit_tb = Some(self.desk.host.timebase());
        }
        self.handle(exit)
    }

    /// Delivers what can be delivered; the deadline of the stay.
    fn before_entry(&mut self) -> u64 {
        let now = self.desk.host.timebase();
        let hz = self.desk.host.timebase_hz();
        if now >= self.next_look {
            self.look_at_devices();
            self.next_look = now.saturating_add((hz / SLICES).max(1));
        }
        self.vcpu.set_lpcr(LPCR::MER::CLEAR);
        if !self.desk.machine.xics.is_pending(self.vcpu.id) {
            return self.next_look;
        }
        if self.vcpu.interrupts_on() {
            deliver(self.vcpu, Interrupt::External);
            self.desk.counters.delivered += 1;
        } else {
            self.vcpu.set_lpcr(LPCR::MER::SET);
        }
        self.next_look.min(now.saturating_add((hz / SHORT_SLICES).max(1)))
    }

    fn handle(&mut self, exit: Exit) -> Flow {
        self.desk.counters.exit(&exit);
        match exit {
            Exit::Begun => return self.go_on(),
            Exit::Hcall => return self.desk.hypervisor_call(self.vcpu),
            Exit::Storage(fault) => return self.storage(&fault),
            Exit::Hdec | Exit::External => self.look_at_devices(),
            Exit::Emulation(_) | Exit::Facility(_) => deliver(self.vcpu, Interrupt::ILLEGAL),
            Exit::SystemReset => {
                warning!("system reset: the guest is told");
                deliver(self.vcpu, Interrupt::SystemReset);
            }
            Exit::MachineCheck(error) => return self.machine_check(error),
            Exit::Unexpected(vector) => return Flow::Stop(StopReason::Unexpected(vector)),
            Exit::Failed(code) => return Flow::Stop(StopReason::EntryFailed(code)),
        }
        Flow::Resume
    }

    /// Finishes what the short way began.
    fn go_on(&mut self) -> Flow {
        match self.desk.begun.take() {
            Some(Begun::Call(flow)) => flow,
            Some(Begun::Storage(fault, resolution)) => self.resolved(&fault, resolution),
            None => Flow::Resume,
        }
    }

    fn storage(&mut self, fault: &StorageFault) -> Flow {
        if self.desk.storm.is_stuck(self.vcpu, fault) {
            let nip = self.vcpu.regs.nip;
            error!("no progress: nip {=u64:#x}, address {=u64:#x}", nip, fault.ea.raw());
            return Flow::Stop(StopReason::NoProgress { nip });
        }
        let resolution = self.desk.memory.fault(fault);
        self.resolved(fault, resolution)
    }

    fn resolved(&mut self, fault: &StorageFault, mut resolution: Resolution) -> Flow {
        for _ in 0..WAITS {
            match resolution {
                Resolution::Resume => return Flow::Resume,
                Resolution::Wait(_) => {
                    self.desk.counters.waited += 1;
                    self.world.relax();
                }
                Resolution::Reflect(why) => {
                    self.desk.counters.reflected += 1;
                    deliver(self.vcpu, Interrupt::from_fault(fault, why));
                    return Flow::Resume;
                }
                Resolution::OutOfMemory => return Flow::Stop(StopReason::OutOfMemory),
                Resolution::MachineError => return Flow::Stop(StopReason::MachineError),
            }
            resolution = self.desk.memory.fault(fault);
        }
        Flow::Resume
    }

    /// A recoverable one is over, unless the guest had SRR0 and SRR1 in use, which are lost then: that only it can know. A synchronous one is its own. After a fatal one
    /// nobody knows what is left of it.
    fn machine_check(&mut self, MachineError { srr1, dsisr, dar, severity }: MachineError) -> Flow {
        error!("machine check in the guest: SRR1 {=u64:#x}, DSISR {=u64:#x}, DAR {=u64:#x}", srr1, dsisr, dar);
        if severity == Severity::Fatal {
            return Flow::Stop(StopReason::MachineCheck);
        }
        if severity == Severity::Recoverable && can_go_on(srr1) {
            self.desk.counters.recovered += 1;
            return Flow::Resume;
        }
        if !self.vcpu.msr().contains(Msr::ME) {
            return Flow::Stop(StopReason::Checkstop);
        }
        let dsisr = Dsisr::from_dword(dsisr);
        deliver(self.vcpu, Interrupt::MachineCheck { cause: Srr1::from_bits_retain(srr1), dar, dsisr });
        Flow::Resume
    }

    /// H_CEDE: sleeps until there is an interrupt, the decrementer turns negative, or H_PROD came.
    fn sleep(&mut self) {
        let mut slept = false;
        loop {
            self.look_at_devices();
            let now = self.desk.host.timebase();
            if self.has_reason_to_run(now) {
                if slept {
                    self.vcpu.mark_dispatched(self.desk.memory, now);
                }
                return;
            }
            if !slept {
                slept = true;
                self.desk.counters.idles += 1;
                self.vcpu.mark_yielded(self.desk.memory, now);
            }
            self.world.idle(self.wake_time(now));
        }
    }

    fn has_reason_to_run(&mut self, now: u64) -> bool {
        self.desk.machine.xics.is_pending(self.vcpu.id)
            || self.vcpu.decrementer_expired(now)
            || core::mem::take(&mut self.vcpu.prodded)
    }

    fn wake_time(&self, now: u64) -> u64 {
        match self.desk.machine.settings.console_poll {
            Some(ticks) => self.vcpu.dec_expiry.min(now.saturating_add(ticks)),
            None => self.vcpu.dec_expiry,
        }
    }

    fn look_at_devices(&mut self) {
        self.desk.machine.vty.flush(self.desk.host);
        if self.desk.machine.vty.draw(self.desk.host) {
            let known = self.desk.machine.xics.signal(VTY_SOURCE, true);
            debug_assert!(known.is_ok(), "the terminal's source is there from the beginning");
        }
    }
}

impl<H: Host, M: GuestMemory + FaultHandler> Desk<'_, H, M> {
    fn hypervisor_call(&mut self, vcpu: &mut Vcpu) -> Flow {
        hcall::handle(&mut Call {
            vcpu,
            machine: self.machine,
            host: self.host,
            memory: self.memory,
            counters: self.counters,
        })
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

    /// Whether this fault is the last one again: then somebody has to look closer. Remembers it otherwise.
    #[inline]
    fn repeats(&mut self, vcpu: &Vcpu, fault: &StorageFault) -> bool {
        let this = Some((vcpu.regs.nip, fault.ea.raw(), fault.access));
        let same = self.last == this;
        self.last = this;
        same
    }

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
