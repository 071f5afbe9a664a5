//! Registers that only hypervisor state reaches (Power ISA 3.1B Book III chapters 2 to 5).
//!
//! Reading them is harmless there. Each write is a named `unsafe fn`, since nearly every one decides which memory or which privileges somebody has. In a
//! partition any of them is a program interrupt.

use super::live::{read, write};
use super::number;

macro_rules! registers {
    ($($(#[$doc:meta])* $name:ident, $set:ident, $number:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $name() -> u64 {
            read::<{ number::$number }>()
        }

        /// Writes it.
        ///
        /// # Safety
        /// This CPU is in hypervisor state, and the value leaves the hypervisor's own memory and privileges as they have to be and gives no guest more than
        /// is its own.
        #[inline]
        pub unsafe fn $set(value: u64) {
            // SAFETY: 1. passed on to the caller.
            unsafe { write::<{ number::$number }>(value) }
        }
    )*};
}

registers! {
    /// Logical Partitioning Control Register.
    lpcr, set_lpcr, LPCR;
    /// Logical Partition Identification Register.
    lpidr, set_lpidr, LPIDR;
    /// Partition Table Control Register.
    ptcr, set_ptcr, PTCR;
    /// Hypervisor Facility Status and Control Register.
    hfscr, set_hfscr, HFSCR;
    /// Processor Compatibility Register.
    pcr, set_pcr, PCR;
    /// Hypervisor Decrementer.
    hdec, set_hdec, HDEC;
    /// Authority Mask Override Register.
    amor, set_amor, AMOR;
    /// Data Address Watchpoint 0.
    dawr0, set_dawr0, DAWR0;
    /// Its extension.
    dawrx0, set_dawrx0, DAWRX0;
    /// Data Address Watchpoint 1 (Power ISA 3.1).
    dawr1, set_dawr1, DAWR1;
    /// Its extension.
    dawrx1, set_dawrx1, DAWRX1;
    /// Completed Instruction Address Breakpoint.
    ciabr, set_ciabr, CIABR;
    /// Hypervisor Software-use SPR 0.
    hsprg0, set_hsprg0, HSPRG0;
    /// Processor Stop Status and Control Register.
    psscr, set_psscr, PSSCR;
    /// Hypervisor Maintenance Exception Register: a write clears the bits that are 0 in it.
    hmer, set_hmer, HMER;
    /// Save/Restore Register 0.
    srr0, set_srr0, SRR0;
    /// Save/Restore Register 1.
    srr1, set_srr1, SRR1;
}

/// Hypervisor Save/Restore Register 1.
#[must_use]
#[inline]
pub fn hsrr1() -> u64 {
    read::<{ number::HSRR1 }>()
}

/// Hypervisor Data Address Register.
#[must_use]
#[inline]
pub fn hdar() -> u64 {
    read::<{ number::HDAR }>()
}

/// Hypervisor Data Storage Interrupt Status Register.
#[must_use]
#[inline]
pub fn hdsisr() -> u64 {
    read::<{ number::HDSISR }>()
}

/// Access Segment Descriptor Register.
#[must_use]
#[inline]
pub fn asdr() -> u64 {
    read::<{ number::ASDR }>()
}

/// Hypervisor Emulation Instruction Register.
#[must_use]
#[inline]
pub fn heir() -> u64 {
    read::<{ number::HEIR }>()
}

/// Hypervisor Real Mode Offset Register.
#[must_use]
#[inline]
pub fn hrmor() -> u64 {
    read::<{ number::HRMOR }>()
}

/// Processor Identification Register.
#[must_use]
#[inline]
pub fn pir() -> u64 {
    read::<{ number::PIR }>()
}
