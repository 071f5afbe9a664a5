//! All that an exit is handled with, but for the vCPU itself and the world that runs it.

use crate::guest::hcall::{self, Call};
use crate::guest::host::{FaultHandler, GuestMemory, HashAnswer, Host};
use crate::guest::machine::{Flow, Machine};
use crate::guest::stats::Counters;
use crate::guest::vcpu::Vcpu;
use crate::hash;
use crate::mmu::{Resolution, StorageFault};

/// One CPU's desk at one guest.
pub(super) struct Desk<'a, H, M> {
    /// The CPU's number.
    pub cpu: usize,
    pub host: &'a H,
    pub memory: &'a M,
    pub machine: &'a Machine,
    pub counters: &'a mut Counters,
    /// What the short way began and could not finish.
    pub begun: Option<Begun>,
}

/// An exit that was handled in part.
pub(super) enum Begun {
    /// The call was made; this is what happens next.
    Call(Flow),
    /// The fault was looked at; this is what became of it.
    Storage(StorageFault, Resolution),
    /// The same of a hash guest.
    HashStorage(hash::Fault, HashAnswer),
}

impl<H: Host, M: GuestMemory + FaultHandler> Desk<'_, H, M> {
    pub fn hypervisor_call(&mut self, vcpu: &mut Vcpu) -> Flow {
        hcall::handle(&mut Call {
            vcpu,
            machine: self.machine,
            host: self.host,
            memory: self.memory,
            counters: self.counters,
        })
    }

    /// Whether the vCPU cannot simply go on: it has an interrupt to take, or somebody else wants this CPU.
    #[inline]
    pub fn is_wanted(&self, vcpu: &Vcpu) -> bool {
        self.machine.xics.is_pending(vcpu.id) || self.machine.sched.is_wanted(self.cpu)
    }
}
