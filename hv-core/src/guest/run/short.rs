//! The short way: what is done about a call or a storage interrupt while registers from r14 on, and all that the hypervisor does not use, are still
//! the guest's own.
//!
//! It is for what is frequent and soon done. Whatever would have to look at the whole vCPU, or end its stay, is left to the run loop: an interrupt to be
//! delivered, a CPU that somebody else wants, a sleep, a fault that is not simply resolved, the same fault once more (a guest that makes no progress is found out about there).
//!
//! A hash guest fills its table by faults that it is told of, and by calls about the table's entries. Both are done here, and nothing is asked after them: they concern no interrupt and no
//! other processor, and whoever wants this CPU ends the stay.

use super::desk::{Begun, Desk};
use super::storm::Storm;
use crate::guest::hcall::{self, table_entries};
use crate::guest::host::{FaultHandler, GuestMemory, HashAnswer, Host, Next, Short};
use crate::guest::inject::{Interrupt, deliver};
use crate::guest::machine::Flow;
use crate::guest::vcpu::Vcpu;
use crate::hash::{self, Calls};
use crate::mmu::{Access, Resolution, StorageFault};
use crate::papr::hcall::{H_ENTER, H_PROTECT, H_REMOVE};

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

    /// What was not resolved is the guest's to be told, mostly. A fault that was resolved and comes again is looked at closer.
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
            HashAnswer::Reflect(causes) => {
                self.counters.reflected += 1;
                deliver(vcpu, Interrupt::storage(fault.access, fault.ea, causes));
                Next::Interrupt
            }
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

    #[inline]
    fn hash_call(&mut self, vcpu: &mut Vcpu) -> Next {
        match vcpu.regs.gpr[3] {
            H_ENTER => self.table_call(vcpu, table_entries::enter_in),
            H_REMOVE => self.table_call(vcpu, table_entries::remove_in),
            H_PROTECT => self.table_call(vcpu, table_entries::protect_in),
            _ => self.other_call(vcpu),
        }
    }
}

impl<H: Host, M: GuestMemory + FaultHandler> Desk<'_, H, M> {
    /// Aside, so that the frequent calls do not pay for what it keeps. What has to be loaded anew is loaded by the next stay, for the same reason.
    #[inline(never)]
    fn other_call(&mut self, vcpu: &mut Vcpu) -> Next {
        match self.call(vcpu) {
            Next::Reload => {
                vcpu.modes_changed = true;
                self.begin(Begun::Call(Flow::Resume))
            }
            next => next,
        }
    }

    /// A function for each call, from its exit to the entry: what would be handed on by memory keeps to registers.
    #[inline(never)]
    fn table_call(&mut self, vcpu: &mut Vcpu, work: impl FnOnce(&mut Vcpu, &dyn Calls) -> hcall::Answer) -> Next {
        self.counters.hcalls += 1;
        let done = hcall::handle_in_table(vcpu, self.memory, work);
        if done { Next::Resume } else { self.begin(Begun::Call(Flow::Resume)) }
    }
}

impl<H, M> Desk<'_, H, M> {
    #[cold]
    fn begin(&mut self, begun: Begun) -> Next {
        self.begun = Some(begun);
        Next::Begun
    }
}
