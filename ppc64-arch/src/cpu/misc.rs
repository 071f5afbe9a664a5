//! Time, randomness and thread priority.

use super::super::spr::live;
use core::arch::asm;
use tock_registers::interfaces::Readable;

/// The Time Base, in ticks (Power ISA 3.1B Book II, Time Base).
#[must_use]
#[inline]
pub fn timebase() -> u64 {
    live::TB.get()
}

/// 64 conditioned random bits from the processor (`darn` with L=1, Power ISA 3.1B Book I chapter 3), or `None` if its source failed ten times
/// in a row, as the manual suggests.
#[must_use]
pub fn darn() -> Option<u64> {
    (0..10).find_map(|_| {
        let value: u64;
        // SAFETY: 1. darn touches nothing but its target register; it exists since Power ISA 3.0, the oldest supported.
        unsafe { asm!("darn {}, 1", out(reg) value, options(nomem, nostack, preserves_flags)) }
        (value != u64::MAX).then_some(value)
    })
}

/// Gives the other threads of the core the units while this one waits (`or 31,31,31`, Power ISA 3.1B Book II chapter 3, Program Priority Register).
#[inline]
pub fn very_low_priority() {
    // SAFETY: 1. the instruction copies r31 to itself; its only effect is the thread's priority.
    unsafe { asm!("or 31, 31, 31", options(nomem, nostack, preserves_flags)) }
}

/// Back to the usual priority (`or 2,2,2`).
#[inline]
pub fn medium_priority() {
    // SAFETY: 1. the instruction copies r2 to itself; its only effect is the thread's priority.
    unsafe { asm!("or 2, 2, 2", options(nomem, nostack, preserves_flags)) }
}
