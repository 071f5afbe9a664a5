//! The registers themselves, read by `mfspr` and written by `mtspr`.
//!
//! What may simply be written is what the hypervisor does not depend on. Registers whose write changes which memory or
//! which privileges somebody has get a named `unsafe fn` instead of an object.
//!
//! A guest's copies of DAR, DSISR, DSCR, AMR, IAMR, FSCR, TAR, VRSAVE and DEC live in these very registers while the hypervisor runs (nested
//! API v1 does not switch them), so whoever writes one here is setting the guest's.

use super::number;
use core::arch::asm;
use core::marker::PhantomData;
use tock_registers::RegisterLongName;
use tock_registers::interfaces::{Readable, Writeable};

/// A register that can be read.
pub struct ReadOnly<const N: u32, R: RegisterLongName = ()>(PhantomData<R>);
/// A register that can be read and written without danger to anyone but the guest whose it is.
pub struct ReadWrite<const N: u32, R: RegisterLongName = ()>(PhantomData<R>);

/// `mfspr`.
#[inline]
pub(crate) fn read<const N: u32>() -> u64 {
    let value: u64;
    // SAFETY: 1. mfspr of the registers of this module has no effect on memory; 2. `N` is one of `number`, all of which are
    // readable in privileged state, so no program interrupt is taken.
    unsafe { asm!("mfspr {}, {}", out(reg) value, const N, options(nomem, nostack, preserves_flags)) }
    value
}

/// `mtspr`.
///
/// # Safety
/// Register `N` must be one whose write cannot change what memory the hypervisor reaches, or the caller upholds what it then needs.
#[inline]
pub(crate) unsafe fn write<const N: u32>(value: u64) {
    // SAFETY: 1. the caller vouches for the effect; 2. no operand but the register is touched.
    unsafe { asm!("mtspr {}, {}", const N, in(reg) value, options(nostack, preserves_flags)) }
}

impl<const N: u32, R: RegisterLongName> Readable for ReadOnly<N, R> {
    type T = u64;
    type R = R;
    #[inline]
    fn get(&self) -> u64 {
        read::<N>()
    }
}

impl<const N: u32, R: RegisterLongName> Readable for ReadWrite<N, R> {
    type T = u64;
    type R = R;
    #[inline]
    fn get(&self) -> u64 {
        read::<N>()
    }
}

impl<const N: u32, R: RegisterLongName> Writeable for ReadWrite<N, R> {
    type T = u64;
    type R = R;
    #[inline]
    fn set(&self, value: u64) {
        // SAFETY: 1. only registers of the list below are of this type, and the hypervisor depends on none of them: it runs with translation off and
        // interrupts disabled, uses no floating point and no keys.
        unsafe { write::<N>(value) }
    }
}

/// Time Base.
pub const TB: ReadOnly<{ number::TB }> = ReadOnly(PhantomData);
/// Processor Version Register.
pub const PVR: ReadOnly<{ number::PVR }> = ReadOnly(PhantomData);
/// Save/Restore Register 0.
pub const SRR0: ReadOnly<{ number::SRR0 }> = ReadOnly(PhantomData);
/// Save/Restore Register 1.
pub const SRR1: ReadOnly<{ number::SRR1 }> = ReadOnly(PhantomData);
/// Data Address Register.
pub const DAR: ReadWrite<{ number::DAR }> = ReadWrite(PhantomData);
/// Data Storage Interrupt Status Register.
pub const DSISR: ReadWrite<{ number::DSISR }> = ReadWrite(PhantomData);
/// Decrementer.
pub const DEC: ReadWrite<{ number::DEC }> = ReadWrite(PhantomData);
/// Data Stream Control Register.
pub const DSCR: ReadWrite<{ number::DSCR }> = ReadWrite(PhantomData);
/// Authority Mask Register.
pub const AMR: ReadWrite<{ number::AMR }> = ReadWrite(PhantomData);
/// Instruction Authority Mask Register.
pub const IAMR: ReadWrite<{ number::IAMR }> = ReadWrite(PhantomData);
/// Facility Status and Control Register.
pub const FSCR: ReadWrite<{ number::FSCR }> = ReadWrite(PhantomData);
/// VR Save Register.
pub const VRSAVE: ReadWrite<{ number::VRSAVE }> = ReadWrite(PhantomData);
/// Target Address Register.
pub const TAR: ReadWrite<{ number::TAR }> = ReadWrite(PhantomData);

/// Process Identification Register: a guest's while the hypervisor runs with translation off.
pub const PIDR: ReadWrite<{ number::PIDR }> = ReadWrite(PhantomData);
/// Software-use SPR 0.
pub const SPRG0: ReadWrite<{ number::SPRG0 }> = ReadWrite(PhantomData);
/// Software-use SPR 1.
pub const SPRG1: ReadWrite<{ number::SPRG1 }> = ReadWrite(PhantomData);
/// Software-use SPR 2.
pub const SPRG2: ReadWrite<{ number::SPRG2 }> = ReadWrite(PhantomData);
/// Software-use SPR 3.
pub const SPRG3: ReadWrite<{ number::SPRG3 }> = ReadWrite(PhantomData);

/// The Machine State Register (`mfmsr`; Power ISA 3.1B Book III 4.2.1).
#[must_use]
#[inline]
pub fn msr() -> crate::trap::Msr {
    let value: u64;
    // SAFETY: 1. mfmsr only reads; 2. the hypervisor runs in privileged state, where it is allowed.
    unsafe { asm!("mfmsr {}", out(reg) value, options(nomem, nostack, preserves_flags)) }
    crate::trap::Msr::from_bits_retain(value)
}

/// Clears MSR\[EE\]: external and decrementer interrupts wait from here on (`mtmsrd` with L=1 changes EE and RI only).
#[inline]
pub fn disable_interrupts() {
    // SAFETY: 1. L=1 leaves every bit but EE and RI alone; 2. RI=0 is right here as well: SRR0/SRR1 of an interrupted guest are not in the
    // registers; 3. waiting interrupts harm nobody.
    unsafe { asm!("mtmsrd {}, 1", in(reg) 0_u64, options(nostack, preserves_flags)) }
}

/// Sets MSR\[EE\] and MSR\[RI\]: waiting external and decrementer interrupts are taken from here on.
#[inline]
pub fn enable_interrupts() {
    let on = (crate::trap::Msr::EE | crate::trap::Msr::RI).bits();
    // SAFETY: 1. L=1 leaves every bit but EE and RI alone; 2. the vectors keep every register of whom they interrupt.
    unsafe { asm!("mtmsrd {}, 1", in(reg) on, options(nostack, preserves_flags)) }
}
