//! Doublewords in the other byte order. Tables are big-endian and we are little-endian; before POWER10 no instruction swaps a register, and doing it by
//! shifts takes thirteen. Memory does it in one (`ldbrx` and `stdbrx`, Power ISA 3.1B Book I 3.3.4.1).

use core::arch::asm;
use core::mem::MaybeUninit;

/// Loads a big-endian doubleword at once (an aligned doubleword is single-copy atomic, Book II 1.4).
///
/// Loads through an address that was made of it come after it (Book II 1.7.1, a data dependency: the compiler cannot take it away, since it does not know
/// what `ldbrx` gives). Nothing else is ordered.
///
/// # Safety
/// `at` is aligned and may be read, if necessary while others write it.
#[must_use]
#[inline]
pub unsafe fn load_big_endian(at: *const u64) -> u64 {
    let value;
    // SAFETY: 1. the caller vouches for the address; 2. nothing is written.
    unsafe { asm!("ldbrx {}, 0, {}", out(reg) value, in(reg) at, options(nostack, readonly, preserves_flags)) }
    value
}

/// Stores a doubleword big-endian, at once. Nothing is ordered.
///
/// # Safety
/// `at` is aligned and may be written, if necessary while others read it.
#[inline]
pub unsafe fn store_big_endian(at: *mut u64, value: u64) {
    // SAFETY: 1. the caller vouches for the address.
    unsafe { asm!("stdbrx {}, 0, {}", in(reg) value, in(reg) at, options(nostack, preserves_flags)) }
}

/// The doubleword with its bytes in the opposite order.
#[must_use]
#[inline]
pub fn swap_bytes(value: u64) -> u64 {
    let mut memory = MaybeUninit::<u64>::uninit();
    let swapped;
    // SAFETY: 1. what is written and read is this function's own.
    unsafe {
        asm!(
            "std {value}, 0({memory})",
            "ldbrx {swapped}, 0, {memory}",
            value = in(reg) value, memory = in(reg_nonzero) memory.as_mut_ptr(), swapped = lateout(reg) swapped,
            options(nostack, preserves_flags)
        );
    }
    swapped
}
