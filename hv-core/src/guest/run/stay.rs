//! One stay of a vCPU in the guest: what is done before it, and about the exit that ends it.

use super::desk::Begun;
use super::storm::Storm;
use super::{Ended, Parting, Runner};
use crate::guest::host::{Exit, FaultHandler, GuestMemory, Host, MachineError, World};
use crate::guest::inject::{Interrupt, deliver};
use crate::guest::machine::{Flow, SHARED_MODES, StopReason};
use crate::guest::vcpu::Vcpu;
use crate::mmu::{Resolution, StorageFault};
use ppc64_arch::mce::{Severity, can_go_on};
use ppc64_arch::spr::LPCR;
use ppc64_arch::trap::{Dsisr, Msr, Srr1};

/// Looks a second while an interrupt waits for MSR\[EE\].
pub(super) const SHORT_SLICES: u64 = 5000;
/// How often a fault asks again about a page that another CPU works on, before the vCPU is put aside.
const WAITS: u32 = 32;

impl<W: World, H: Host, M: GuestMemory + FaultHandler> Runner<'_, W, H, M> {
    /// Enters the guest, and does what its exit asks for; why the vCPU leaves this CPU, if it does.
    pub fn turn(&mut self, vcpu: &mut Vcpu) -> Option<Parting> {
        let flow = match self.step(vcpu) {
            Ok(flow) => flow,
            Err(parting) => return Some(parting),
        };
        match flow {
            Flow::Resume => self.is_over(),
            Flow::Idle => Some(Parting::Ceded),
            Flow::Confer(to) => Some(Parting::Conferred(to)),
            Flow::StopSelf => Some(Parting::Stopped),
            Flow::PowerOff => self.end(Ended::PowerOff),
            Flow::Reboot => self.end(Ended::Reboot),
            Flow::GuestPanic => self.end(Ended::GuestPanic),
            Flow::Stop(why) => self.end(Ended::Stopped(why)),
        }
    }

    fn end(&mut self, ended: Ended) -> Option<Parting> {
        self.desk.machine.end(ended, self.desk.cpu, self.desk.host);
        Some(Parting::Over)
    }

    fn step(&mut self, vcpu: &mut Vcpu) -> Result<Flow, Parting> {
        let deadline = self.before_entry(vcpu);
        self.desk.counters.entries += 1;
        self.desk.memory.entering();
        let exit = self.world.enter(vcpu, deadline, &mut self.desk);
        self.desk.memory.left();
        if vcpu.in_problem_state() && self.desk.counters.first_user_exit_tb.is_none() {
            self.desk.counters.first_user_exit_tb = Some(self.desk.host.timebase());
        }
        self.handle(vcpu, exit)
    }

    /// Delivers what can be delivered; the deadline of the stay.
    fn before_entry(&mut self, vcpu: &mut Vcpu) -> u64 {
        let now = self.desk.host.timebase();
        let machine = self.desk.machine;
        self.take_mail(vcpu);
        if (vcpu.hv.lpcr ^ machine.modes()) & SHARED_MODES != 0 {
            vcpu.set_lpcr_bits(SHARED_MODES, machine.modes());
        }
        vcpu.set_lpcr(LPCR::MER::CLEAR);
        let deadline = self.deadline();
        if !machine.xics.is_pending(vcpu.id) {
            return deadline;
        }
        if vcpu.interrupts_on() {
            deliver(vcpu, Interrupt::External);
            self.desk.counters.delivered += 1;
        } else {
            vcpu.set_lpcr(LPCR::MER::SET);
            let memory = self.desk.memory;
            self.world.await_interrupts_on(vcpu, |page| memory.forbid_fetch(page));
        }
        deadline.min(now.saturating_add((self.desk.host.timebase_hz() / SHORT_SLICES).max(1)))
    }

    /// What other processors said to it.
    fn take_mail(&mut self, vcpu: &mut Vcpu) {
        let Some(processor) = self.desk.machine.processor(u64::from(vcpu.id)) else { return };
        if processor.has_mail() && processor.take_reset() {
            deliver(vcpu, Interrupt::SystemReset);
        }
    }

    fn handle(&mut self, vcpu: &mut Vcpu, exit: Exit) -> Result<Flow, Parting> {
        self.desk.counters.exit(&exit);
        match exit {
            Exit::Begun => return self.go_on(vcpu),
            Exit::LetIn => {}
            Exit::Hcall => return Ok(self.desk.hypervisor_call(vcpu)),
            Exit::Storage(fault) => return self.storage(vcpu, &fault),
            Exit::Hdec | Exit::External => self.desk.machine.look_at_devices(self.desk.cpu, self.desk.host),
            Exit::Emulation(_) | Exit::Facility(_) => deliver(vcpu, Interrupt::ILLEGAL),
            Exit::SystemReset => {
                warning!("system reset: the guest is told");
                deliver(vcpu, Interrupt::SystemReset);
            }
            Exit::MachineCheck(error) => return Ok(self.machine_check(vcpu, error)),
            Exit::Unexpected(vector) => return Ok(Flow::Stop(StopReason::Unexpected(vector))),
            Exit::Failed(code) => return Ok(Flow::Stop(StopReason::EntryFailed(code))),
        }
        Ok(Flow::Resume)
    }

    /// Finishes what the short way began.
    fn go_on(&mut self, vcpu: &mut Vcpu) -> Result<Flow, Parting> {
        match self.desk.begun.take() {
            Some(Begun::Call(flow)) => Ok(flow),
            Some(Begun::Storage(fault, resolution)) => self.resolved(vcpu, &fault, resolution),
            None => Ok(Flow::Resume),
        }
    }

    fn storage(&mut self, vcpu: &mut Vcpu, fault: &StorageFault) -> Result<Flow, Parting> {
        if Storm::is_stuck(vcpu, fault) {
            let nip = vcpu.regs.nip;
            error!("no progress: nip {=u64:#x}, address {=u64:#x}", nip, fault.ea.raw());
            return Ok(Flow::Stop(StopReason::NoProgress { nip }));
        }
        let resolution = self.desk.memory.fault(fault);
        self.resolved(vcpu, fault, resolution)
    }

    /// A fault that waits for another CPU's work asks again a few times, since that work is short. Then its vCPU is put aside until the work is done. It says so before it asks
    /// for the last time: whoever ends the work behind that wakes it.
    fn resolved(&mut self, vcpu: &mut Vcpu, fault: &StorageFault, mut resolution: Resolution) -> Result<Flow, Parting> {
        for _ in 0..WAITS {
            if let Some(flow) = self.settled(vcpu, fault, resolution) {
                return Ok(flow);
            }
            self.world.relax();
            resolution = self.ask_again(fault);
        }
        if let Some(flow) = self.settled(vcpu, fault, resolution) {
            return Ok(flow);
        }
        self.desk.memory.wait(vcpu.id);
        let last = self.ask_again(fault);
        let flow = self.settled(vcpu, fault, last).ok_or(Parting::Waits)?;
        self.desk.memory.unwait(vcpu.id);
        Ok(flow)
    }

    fn ask_again(&mut self, fault: &StorageFault) -> Resolution {
        self.desk.counters.asked_again += 1;
        self.desk.memory.fault(fault)
    }

    /// What a resolution comes to, unless it is to wait.
    fn settled(&mut self, vcpu: &mut Vcpu, fault: &StorageFault, resolution: Resolution) -> Option<Flow> {
        Some(match resolution {
            Resolution::Resume => Flow::Resume,
            Resolution::Wait(_) => {
                self.desk.counters.waited += 1;
                return None;
            }
            Resolution::Reflect(why) => {
                self.desk.counters.reflected += 1;
                deliver(vcpu, Interrupt::from_fault(fault, why));
                Flow::Resume
            }
            Resolution::OutOfMemory => Flow::Stop(StopReason::OutOfMemory),
            Resolution::MachineError => Flow::Stop(StopReason::MachineError),
        })
    }

    /// A recoverable one is over, unless the guest had SRR0 and SRR1 in use, which are lost then: that only it can know. A synchronous one is its own. After a fatal one
    /// nobody knows what is left of it.
    fn machine_check(&mut self, vcpu: &mut Vcpu, MachineError { srr1, dsisr, dar, severity }: MachineError) -> Flow {
        error!("machine check in the guest: SRR1 {=u64:#x}, DSISR {=u64:#x}, DAR {=u64:#x}", srr1, dsisr, dar);
        if severity == Severity::Fatal {
            return Flow::Stop(StopReason::MachineCheck);
        }
        if severity == Severity::Recoverable && can_go_on(srr1) {
            self.desk.counters.recovered += 1;
            return Flow::Resume;
        }
        if !vcpu.msr().contains(Msr::ME) {
            return Flow::Stop(StopReason::Checkstop);
        }
        let dsisr = Dsisr::from_dword(dsisr);
        deliver(vcpu, Interrupt::MachineCheck { cause: Srr1::from_bits_retain(srr1), dar, dsisr });
        Flow::Resume
    }
}
