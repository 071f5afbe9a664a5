//! What a hash guest needs of a CPU beyond what every guest does: LPCR with HR=0 and UPRT=0, and its segments.
//!
//! # Two kinds of guest on one CPU
//!
//! The hypervisor's own translation is radix ([`super::own`]), and LPCR\[HR\] speaks of whoever runs: with a hash guest's LPCR it cannot be on. So while a hash guest has the CPU, the hypervisor runs with translation
//! off, in the run loop as on the short way, and between two stays nothing of the guest's is exchanged: a hash guest's own page faults come to us as well (LPCR\[VPM\]), most exits are such, and most of those end
//! at once in the guest's own interrupt. When the vCPU is put away the segments go with it, and LPCR and LPIDR are the hypervisor's again.
//!
//! ```text
//!              arrive: LPIDR, LPCR, segments                       leave: segments, LPIDR = 0, our LPCR
//!   own translation on ────────────────────► stays, translation off ────────────────────► own translation on
//! ```
//!
//! Both are done with translation off, between a `ptesync` and an `isync` (Power ISA 3.1B Book III chapter 12, LPCR, LPIDR, `slbmte`): no access of one regime is under way when the other one begins. Segments can only be reached
//! under the guest's LPCR: with UPRT=1 most entries of the SLB are the hardware's. Translations of the two kinds never meet in the TLB, since they belong to different partitions; a partition whose entry changes its kind is
//! flushed in both kinds ([`super::translations`]). The effective-to-real cache goes with the segments (`slbia`).

use hv_core::guest::Vcpu;
use ppc64_arch::cpu::{drop_segments, give_segments, isync, ptesync, take_segments};
use ppc64_arch::spr::hypervisor;

/// Gives the CPU to a hash guest.
///
/// # Safety
/// This CPU runs with translation off; the vCPU is about to be entered here, and its partition's entry is that of a hash guest. Its LPCR is one for such a guest.
pub unsafe fn arrive(vcpu: &Vcpu) {
    ptesync();
    isync();
    // SAFETY: 1. passed on to the caller; 2. nothing is translated before the guest runs; 3. the place was taken when the vCPU came to this CPU.
    unsafe {
        hypervisor::set_lpidr(u64::from(vcpu.hv.lpid));
        hypervisor::set_lpcr(vcpu.hv.lpcr);
        isync();
        give_segments(&vcpu.segments);
    }
}

/// Takes it back: from now on it is the hypervisor's own, whose LPCR is `lpcr`.
///
/// # Safety
/// The vCPU arrived here, and nobody did since; translation is off.
pub unsafe fn leave(vcpu: &mut Vcpu, lpcr: u64) {
    // SAFETY: 1. LPCR is the guest's still, by the caller.
    unsafe { take_segments(&mut vcpu.segments) }
    // SAFETY: 1. partition 0 and this LPCR are the hypervisor's.
    unsafe { become_host(lpcr) }
}

/// The same for a vCPU that is gone: nobody needs its segments.
///
/// # Safety
/// As for [`leave`].
pub unsafe fn forget(lpcr: u64) {
    // SAFETY: 1. and 2. as above.
    unsafe {
        drop_segments();
        become_host(lpcr);
    }
}

/// # Safety
/// Translation is off, and `lpcr` is the hypervisor's.
unsafe fn become_host(lpcr: u64) {
    ptesync();
    isync();
    // SAFETY: 1. passed on to the caller.
    unsafe {
        hypervisor::set_lpidr(0);
        hypervisor::set_lpcr(lpcr);
    }
    isync();
}
