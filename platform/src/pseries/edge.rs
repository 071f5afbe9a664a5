//! An edge for the L0's hypervisor decrementer, so that it ends the next stay whatever happens.
//!
//! QEMU's L0 interrupts a stay when its hypervisor decrementer *turns* negative ([`Errata::hdec_on_edge`]). What it turns from is the time that is left of the stay before. A stay that is over before
//! the L0 begins it is therefore ended at once if the one before is not over yet, and else never: both CPUs of a machine were seen to stay in guests that spun, half a minute after their time.
//! The L0 can be late by any amount, for its threads wait for each other and for the host.
//!
//! So each stay is preceded by one that is not over for half an hour, and that ends of itself: the guest, in real mode, with interrupts disabled, at an address where it never has memory. What it leaves
//! behind is that time.
//!
//! [`Errata::hdec_on_edge`]: ppc64_arch::errata::Errata::hdec_on_edge

use super::nested;
use hv_core::guest::{HvState, Regs, Vcpu};
use ppc64_arch::cpu;
use ppc64_arch::trap::Msr;

/// Half an hour and more, in timebase ticks of 512 MHz.
const LONG: u64 = 1 << 40;
/// A guest real address beyond all memory, that is fetched from.
const NOWHERE: u64 = 1 << 51;

/// The registers of such a stay.
#[derive(Default)]
pub struct Edge {
    state: HvState,
    regs: Regs,
}

impl Edge {
    /// Has the hypervisor decrementer turn negative at the end of this vCPU's next stay, which has to follow at once.
    pub fn give(&mut self, vcpu: &Vcpu) {
        self.state.version = vcpu.hv.version;
        self.state.lpid = vcpu.hv.lpid;
        self.state.lpcr = vcpu.hv.lpcr;
        self.state.hdec_expiry = cpu::timebase().wrapping_add(LONG);
        self.regs.nip = NOWHERE;
        self.regs.msr = (Msr::SF | Msr::ME | Msr::LE).bits();
        // Where the L0 refuses, it says so again at the stay itself.
        _ = nested::enter(&mut self.state, &mut self.regs);
    }
}
