//! The short way: what is done about a call or a storage interrupt while registers from r14 on, and all that the hypervisor does not use, are still
//! the guest's own.
//!
//! It is for what is frequent and soon done. Whatever would have to look at the whole vCPU, or end its stay, is left to the run loop: an interrupt to be
//! delivered, a CPU that somebody else wants, a sleep, a fault that is not simply resolved, the same fault once more (a guest that makes no progress is found out about there).

use super::desk::{Begun, Desk};
use super::storm::Storm;
use crate::guest::hcall;
use crate::guest::host::{FaultHandler, GuestMemory, HashAnswer, Host, Next, Short};
use crate::guest::machine::Flow;
use crate::guest::vcpu::Vcpu;
use crate::hash;
use crate::mmu::{Access, Resolution, StorageFault};

impl<H: Host, M: GuestMemory + FaultHandler> Short for Desk<'_, H, M> {
    #[inline]
    fn storage(&mut self, vcpu: &mut Vcpu, fault: &StorageFault) -> Next {
        if Storm::repeats(vcpu, fault.access, fault.ea) {
            return Next::Whole;
        }
        let counter = if fault.access == Access::Fetch {
            &mut self.counters.instruction_storage
        } else {
            &mut self.counters.data_storage
        };
        *counter += 1;
        match self.memory.fault(fault) {
            Resolution::Resume => Next::Resume,
            other => self.begin(Begun::Storage(*fault, other)),
        }
    }

    /// What was not resolved is the guest's to be told, mostly: that needs registers that are not here. A fault that was resolved and comes again is looked at closer.
    #[inline]
    fn hash_storage(&mut self, vcpu: &mut Vcpu, fault: &hash::Fault) -> Next {
        let answer = self.memory.hash_fault(fault);
        if answer == HashAnswer::Resume && Storm::repeats(vcpu, fault.access, fault.ea) {
            return Next::Whole;
        }
        let counter = if fault.access == Access::Fetch {
            &mut self.counters.instruction_storage
        } else {
            &mut self.counters.data_storage
        };
        *counter += 1;
        match answer {
            HashAnswer::Resume => Next::Resume,
            other => self.begin(Begun::HashStorage(*fault, other)),
        }
    }

    #[inline]
    fn call(&mut self, vcpu: &mut Vcpu) -> Next {
        if hcall::wants_whole_state(vcpu.regs.gpr[3]) {
            return Next::Whole;
        }
        self.counters.hcalls += 1;
        match self.hypervisor_call(vcpu) {
            Flow::Resume if self.is_wanted(vcpu) => self.begin(Begun::Call(Flow::Resume)),
            Flow::Resume if core::mem::take(&mut vcpu.modes_changed) => Next::Reload,
            Flow::Resume => Next::Resume,
            other => self.begin(Begun::Call(other)),
        }
    }
}

impl<H, M> Desk<'_, H, M> {
    #[cold]
    fn begin(&mut self, begun: Begun) -> Next {
        self.begun = Some(begun);
        Next::Begun
    }
}
