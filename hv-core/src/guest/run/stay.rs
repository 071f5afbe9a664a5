//! One stay of a vCPU in the guest: what is done before it, and about the exit that ends it.

use super::desk::Begun;
use super::storm::Storm;
use super::{Ended, Parting, Runner};
use crate::guest::host::{Exit, FaultHandler, GuestMemory, HashAnswer, Host, MachineError, World};
use crate::guest::inject::{Interrupt, deliver};
use crate::guest::machine::{Flow, SHARED_MODES, StopReason};
use crate::guest::vcpu::Vcpu;
use crate::hash;
use crate::mmu::{Access, Reflect, Resolution, StorageFault};
use ppc64_arch::addr::EffAddr;
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
            Flow::Resume | Flow::Again => self.is_over(),
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
            Exit::HashStorage(fault) => return self.hash_storage(vcpu, &fault),
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
            Some(Begun::Storage(fault, resolution)) => {
                self.resolved(vcpu, Answer::of(&fault, resolution), |memory| Answer::of(&fault, memory.fault(&fault)))
            }
            Some(Begun::HashStorage(fault, answer)) => {
                let ask = |memory: &M| Answer::of_hash(&fault, memory.hash_fault(&fault));
                self.resolved(vcpu, Answer::of_hash(&fault, answer), ask)
            }
            None => Ok(Flow::Resume),
        }
    }

    fn storage(&mut self, vcpu: &mut Vcpu, fault: &StorageFault) -> Result<Flow, Parting> {
        if let Some(stop) = stuck(vcpu, fault.access, fault.ea) {
            return Ok(stop);
        }
        let answer = Answer::of(fault, self.desk.memory.fault(fault));
        self.resolved(vcpu, answer, |memory| Answer::of(fault, memory.fault(fault)))
    }

    fn hash_storage(&mut self, vcpu: &mut Vcpu, fault: &hash::Fault) -> Result<Flow, Parting> {
        let answer = Answer::of_hash(fault, self.desk.memory.hash_fault(fault));
        // A guest that is told of a fault, mends it, and comes again, gets somewhere.
        if !matches!(answer, Answer::Tell(_))
            && let Some(stop) = stuck(vcpu, fault.access, fault.ea)
        {
            return Ok(stop);
        }
        self.resolved(vcpu, answer, |memory| Answer::of_hash(fault, memory.hash_fault(fault)))
    }

    /// A fault that waits for another CPU's work asks again a few times, since that work is short. Then its vCPU is put aside until the work is done. It says so before it asks
    /// for the last time: whoever ends the work behind that wakes it.
    fn resolved(&mut self, vcpu: &mut Vcpu, mut answer: Answer, ask: impl Fn(&M) -> Answer) -> Result<Flow, Parting> {
        for _ in 0..WAITS {
            if let Some(flow) = self.settled(vcpu, answer) {
                return Ok(flow);
            }
            self.world.relax();
            answer = self.ask_again(&ask);
        }
        if let Some(flow) = self.settled(vcpu, answer) {
            return Ok(flow);
        }
        self.desk.memory.wait(vcpu.id);
        let last = self.ask_again(&ask);
        let flow = self.settled(vcpu, last).ok_or(Parting::Waits)?;
        self.desk.memory.unwait(vcpu.id);
        Ok(flow)
    }

    fn ask_again(&mut self, ask: &impl Fn(&M) -> Answer) -> Answer {
        self.desk.counters.asked_again += 1;
        ask(self.desk.memory)
    }

    /// What an answer comes to, unless it is to wait.
    fn settled(&mut self, vcpu: &mut Vcpu, answer: Answer) -> Option<Flow> {
        Some(match answer {
            Answer::Resume => Flow::Resume,
            Answer::Wait => {
                self.desk.counters.waited += 1;
                return None;
            }
            Answer::Tell(interrupt) => {
                self.desk.counters.reflected += 1;
                deliver(vcpu, interrupt);
                Flow::Resume
            }
            Answer::Stop(why) => Flow::Stop(why),
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

/// What a storage interrupt comes to, whichever kind of guest it is.
#[derive(Clone, Copy)]
enum Answer {
    Resume,
    /// To be asked again.
    Wait,
    /// The guest's own interrupt.
    Tell(Interrupt),
    Stop(StopReason),
}

impl Answer {
    fn of(fault: &StorageFault, resolution: Resolution) -> Self {
        Self::new(fault.access, fault.ea, resolution)
    }

    fn of_hash(fault: &hash::Fault, answer: HashAnswer) -> Self {
        let hash::Fault { access, ea, .. } = *fault;
        match answer {
            HashAnswer::Resume => Self::Resume,
            HashAnswer::Busy => Self::Wait,
            HashAnswer::Reflect(causes) => Self::Tell(Interrupt::storage(access, ea, causes)),
            // There is none: as for a radix guest, whose slots do not have it.
            HashAnswer::Device(_) => Self::Tell(Interrupt::from_fault(access, ea, Reflect::NoSlot)),
            HashAnswer::Memory(resolution) => Self::new(access, ea, resolution),
        }
    }

    fn new(access: Access, ea: EffAddr, resolution: Resolution) -> Self {
        match resolution {
            Resolution::Resume => Self::Resume,
            Resolution::Wait(_) => Self::Wait,
            Resolution::Reflect(why) => Self::Tell(Interrupt::from_fault(access, ea, why)),
            Resolution::OutOfMemory => Self::Stop(StopReason::OutOfMemory),
            Resolution::MachineError => Self::Stop(StopReason::MachineError),
        }
    }
}

/// Whether the guest has met this fault so often that it gets nowhere.
fn stuck(vcpu: &mut Vcpu, access: Access, ea: EffAddr) -> Option<Flow> {
    Storm::is_stuck(vcpu, access, ea).then(|| {
        let nip = vcpu.regs.nip;
        error!("no progress: nip {=u64:#x}, address {=u64:#x}", nip, ea.raw());
        Flow::Stop(StopReason::NoProgress { nip })
    })
}
