//! Doorbells (Power ISA 3.1B Book III chapter 11): by hypervisor doorbells (`msgsnd`, `msgclr` and `msgsync`) one CPU makes another come to the hypervisor; by a privileged one (`msgsndp`,
//! `msgclrp`) a thread is interrupted once it enables interrupts.

use core::arch::asm;

/// The type field of RB (bits 32 to 36): a directed doorbell. The receiver's number stands in bits 44 to 63 (PIR), or 57 to 63 (TIR) for a privileged one.
const DIRECTED: u64 = 5 << 27;

/// Rings at the thread with this PIR: at once if it is in a guest, when it comes to one, or in its sleep. What was stored before is seen by whoever answers.
///
/// # Safety
/// This CPU is in hypervisor state.
pub unsafe fn ring(pir: u32) {
    let message = DIRECTED | u64::from(pir);
    // SAFETY: 1. the caller vouches for the state; 2. `msgsnd r4`, by its number, since not every assembler knows it for this processor; the barrier orders it behind stores.
    unsafe { asm!("hwsync", ".long 0x7c00219c", in("r4") message, options(nostack, preserves_flags)) }
}

/// Takes back a doorbell that waits for this thread.
///
/// # Safety
/// As for [`ring`].
pub unsafe fn hush() {
    // SAFETY: 1. the caller vouches for the state; 2. `msgclr r4` and `msgsync`: what was stored before the doorbell rang is loaded behind them.
    unsafe {
        asm!(".long 0x7c0021dc", ".long 0x7c0006ec", "lwsync", in("r4") DIRECTED, options(nostack, preserves_flags))
    }
}

/// Rings a privileged doorbell at this thread, the first of its core: the next time that it runs with MSR\[EE\] on it takes interrupt 0xA00.
///
/// # Safety
/// MSR\[EE\] is off, and whoever runs with it on next expects that.
pub unsafe fn ring_privileged() {
    // SAFETY: 1. the caller vouches for who takes it; 2. `msgsndp r4`.
    unsafe { asm!(".long 0x7c00211c", in("r4") DIRECTED, options(nostack, preserves_flags)) }
}

/// Takes back a privileged doorbell that waits for this thread, if one does.
///
/// # Safety
/// None that somebody else waits for is lost by that.
pub unsafe fn hush_privileged() {
    // SAFETY: 1. the caller vouches for its not being needed; 2. `msgclrp r4`.
    unsafe { asm!(".long 0x7c00215c", in("r4") DIRECTED, options(nostack, preserves_flags)) }
}
