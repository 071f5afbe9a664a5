//! Barriers (Power ISA 3.1B Book II chapter 4 and Book III chapter 6, Synchronize). `core::sync::atomic` covers ordinary memory; these are for what
//! the hardware's own walker and fetch see.

use core::arch::asm;

/// Orders stores to translation tables before everything after, for all walkers (`ptesync`).
#[inline]
pub fn ptesync() {
    // SAFETY: 1. a barrier has no effect but order; the missing `nomem` makes it a compiler barrier too.
    unsafe { asm!("ptesync", options(nostack, preserves_flags)) }
}

/// Orders all storage accesses before all after (`hwsync`).
#[inline]
pub fn hwsync() {
    // SAFETY: 1. a barrier has no effect but order.
    unsafe { asm!("hwsync", options(nostack, preserves_flags)) }
}

/// Orders everything but stores before loads (`lwsync`).
#[inline]
pub fn lwsync() {
    // SAFETY: 1. a barrier has no effect but order.
    unsafe { asm!("lwsync", options(nostack, preserves_flags)) }
}

/// Context synchronisation: later instructions are fetched and run in the context set so far (`isync`).
#[inline]
pub fn isync() {
    // SAFETY: 1. a barrier has no effect but order.
    unsafe { asm!("isync", options(nostack, preserves_flags)) }
}
