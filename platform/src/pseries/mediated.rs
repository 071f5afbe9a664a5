//! Interrupts for a guest that has them disabled, by the moment at which it enables them.
//!
//! LPCR\[MER\] is for this: with it set, a guest that turns MSR\[EE\] on leaves at once. QEMU's L0 ignores it ([`Errata::external_not_mediated`]), and any other way to look again after a while comes
//! late: Linux's RCU, for one, does not live with interprocessor interrupts that are late by the time that one of our looks may take. But a privileged doorbell does interrupt the guest at the right moment,
//! and the place where it takes that interrupt is ours to choose:
//!
//! ```text
//!   before the stay   a doorbell at ourselves; LPCR[AIL] = 0 in the place of 3; no fetch from page 0
//!   in the guest      MSR[EE] on ─► doorbell interrupt ─► real address 0xA00: HISI
//!   after it          NIP and MSR from SRR0 and SRR1, as if it had not been; AIL as it was; no doorbell
//! ```
//!
//! If its decrementer has expired as well, that goes first (0x900), means the same, and stays pending. The guest has no doorbells of its own (HFSCR).
//!
//! Page 0 is where interrupts go in real mode. A guest whose vectors are high seldom uses it otherwise; if it does, that is a storage interrupt like others, which makes the page fetchable until the
//! next time that an interrupt waits. While the guest is there, where its vectors are low, and where page 0 is part of a leaf of 64 KiB, the interrupt waits for the next look.
//!
//! [`Errata::external_not_mediated`]: ppc64_arch::errata::Errata::external_not_mediated

use hv_core::guest::Vcpu;
use ppc64_arch::addr::{GuestReal, LeafSize};
use ppc64_arch::cpu;
use ppc64_arch::spr::LPCR;
use ppc64_arch::trap::{Msr, Srr1, vector};

/// The page that must not be fetchable.
pub const PAGE: GuestReal = GuestReal::new(0);
/// Its addresses in real mode, and in Linux's linear map but for these bits.
const PAGE_0: core::ops::Range<u64> = 0..LeafSize::Size4K.bytes();
const QUADRANT: u64 = 3 << 62;

/// Whether the guest can be had to leave when it enables interrupts: its vectors are high, and it is not just at work where they would be low.
#[must_use]
pub fn can_be(vcpu: &Vcpu) -> bool {
    vcpu.lpcr().matches_all(LPCR::AIL::High) && !PAGE_0.contains(&(vcpu.regs.nip & !QUADRANT))
}

/// Has the guest leave as soon as it enables interrupts, if it [`can_be`] had to.
pub fn arm(vcpu: &mut Vcpu) {
    vcpu.set_lpcr(LPCR::AIL::Off);
    // SAFETY: 1. our interrupts are disabled until it is taken back in `disarm`, and the guest takes it where it cannot fetch.
    unsafe { cpu::ring_privileged() };
}

/// Makes up for [`arm`] after a stay that ended with `vector`: whether the guest left because it had enabled interrupts. Then its state is as if it had not been interrupted.
#[must_use]
pub fn disarm(vcpu: &mut Vcpu, vector: u64) -> bool {
    // SAFETY: 1. it is ours: a guest has none.
    unsafe { cpu::hush_privileged() };
    vcpu.set_lpcr(LPCR::AIL::High);
    let before = Srr1::from_bits_retain(vcpu.hv.srr1).msr();
    // With interrupts enabled before and disabled now: not by a branch of the guest's own.
    let taken = vector == vector::HISI
        && matches!(vcpu.regs.nip, vector::DOORBELL | vector::DECREMENTER)
        && before.contains(Msr::EE)
        && !vcpu.interrupts_on();
    if taken {
        vcpu.regs.nip = vcpu.hv.srr0;
        vcpu.regs.msr = before.bits();
    }
    taken
}
