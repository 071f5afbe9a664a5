//! Dropping translations on every CPU (Power ISA 3.1B Book III 6.9.3.3 and 6.10, "Translation Table Update Synchronization Requirements").

use crate::tlbie::{Cached, Operands};
use core::arch::asm;

/// Begins to drop what `operands` name; [`tlb_complete`] waits for it.
///
/// # Safety
/// This CPU is in hypervisor state. (Translations that are dropped are looked up again, so nothing is lost.)
#[inline]
pub unsafe fn tlbie(operands: Operands) {
    macro_rules! issue {
        ($cached:expr) => {
            // SAFETY: 1. the caller vouches for the state; 2. the word names r4 and r5, which hold the operands; 3. not `nomem`: table entries are stored before it.
            unsafe {
                asm!(
                    ".long {word}",
                    word = const Operands { cached: $cached, rb: 0, rs: 0 }.word(),
                    in("r4") operands.rb, in("r5") operands.rs,
                    options(nostack, preserves_flags)
                )
            }
        };
    }
    match operands.cached {
        Cached::Translations => issue!(Cached::Translations),
        Cached::Tables => issue!(Cached::Tables),
        Cached::Everything => issue!(Cached::Everything),
    }
}

/// Returns when every CPU has done what was begun by `tlbie`s before: the one place where this sequence stands. Only one CPU may be at it at a time on processors
/// before POWER9; on those that we run on any number may.
///
/// # Safety
/// As for [`tlbie`].
#[inline]
pub unsafe fn tlb_complete() {
    // SAFETY: 1. barriers have no effect but order.
    unsafe { asm!("eieio", "tlbsync", "ptesync", options(nostack, preserves_flags)) }
}
