//! Sleeping in hypervisor state (Power ISA 3.1B Book III 3.3.2, `stop`).

use crate::spr::hypervisor;
use core::arch::asm;

/// Waits for an exception that LPCR\[PECE\] lets through, in the lightest state, in which no register is lost: PSSCR with EC=0 and ESL=0, so execution goes on behind the
/// instruction, whether interrupts are enabled or not.
///
/// # Safety
/// This CPU is in hypervisor state.
#[inline]
pub unsafe fn stop() {
    /// Transition rate as firmware suggests for its lightest state; level 0.
    const LIGHTEST: u64 = 0x300;
    // SAFETY: 1. the caller vouches for the state; 2. with EC=0 no register changes and no vector is entered.
    unsafe {
        hypervisor::set_psscr(LIGHTEST);
        asm!("stop", options(nostack));
    }
}
