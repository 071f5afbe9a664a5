//! Interrupts: none is expected. H_CEDE returns with external interrupts on, so that one may come; anything else ends the run.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::console::say;
use crate::{hcall, machine, rtas};

/// As far away as a 32-bit decrementer can be.
const FAR: u64 = 0x7fff_ffff;

/// Interrupts that came and were sent away: each makes a figure a little larger.
static DISTURBANCES: AtomicU64 = AtomicU64::new(0);

/// The interrupted registers, as entry.s lays them out.
#[repr(C)]
pub struct Frame {
    gpr: [u64; 32],
    nip: u64,
    msr: u64,
    ctr: u64,
    lr: u64,
    xer: u64,
    cr: u64,
    vector: u64,
    dar: u64,
    dsisr: u64,
}

const _: () = assert!(core::mem::offset_of!(Frame, nip) == 0x100);
const _: () = assert!(core::mem::offset_of!(Frame, dsisr) == 0x140);

/// Puts the decrementer off.
pub fn no_decrementer() {
    // SAFETY: 1. The decrementer touches no memory; its interrupt has a handler.
    unsafe { asm!("mtspr 22, {0}", in(reg) FAR, options(nomem, nostack)) }
}

/// How often we were disturbed.
pub fn disturbances() -> u64 {
    DISTURBANCES.load(Ordering::Relaxed)
}

/// The assembly resumes the frame afterwards.
#[unsafe(no_mangle)]
extern "C" fn guest_interrupt(frame: &mut Frame) {
    DISTURBANCES.fetch_add(1, Ordering::Relaxed);
    match frame.vector {
        0x500 => {
            let source = hcall::call(hcall::XIRR, &[]).value;
            hcall::call(hcall::EOI, &[source]);
        }
        0x900 => no_decrementer(),
        vector => {
            say!("measure: FAIL interrupt {vector:#x} at {:#x}, address {:#x}", frame.nip, frame.dar);
            rtas::power_off(machine::known_power_off())
        }
    }
}
