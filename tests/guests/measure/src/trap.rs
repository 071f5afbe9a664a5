//! Interrupts: none is expected. H_CEDE returns with external interrupts on, so that one may come; anything else ends the run, but for the
//! interrupts that are measured themselves.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::console::say;
use crate::{hcall, machine, rtas};

/// As far away as a 32-bit decrementer can be.
const FAR: u64 = 0x7fff_ffff;
/// A hundredth of a second at the usual 512 MHz.
const MOMENT: u64 = 5_120_000;

/// Vectors of interrupts that are measured.
const DATA_STORAGE: u64 = 0x300;
const PROGRAM: u64 = 0x700;
/// Bytes of an instruction.
const INSTRUCTION: u64 = 4;

/// Interrupts that came and were sent away: each makes a figure a little larger.
static DISTURBANCES: AtomicU64 = AtomicU64::new(0);

/// While it is not 0, data storage and program interrupts are what is measured: so many came, and one.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// The address of the last data storage interrupt.
static LAST: AtomicU64 = AtomicU64::new(0);

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
    set_decrementer(FAR);
}

fn set_decrementer(ticks: u64) {
    // SAFETY: 1. The decrementer touches no memory; its interrupt has a handler.
    unsafe { asm!("mtspr 22, {0}", in(reg) ticks, options(nomem, nostack)) }
}

/// Whether H_CEDE comes back at once after H_PROD, as PAPR has it, or sleeps until the decrementer.
pub fn cede_returns() -> bool {
    let before = disturbances();
    set_decrementer(MOMENT);
    hcall::call(hcall::PROD, &[0]);
    hcall::call(hcall::CEDE, &[]);
    // SAFETY: 1. Changes only MSR[EE], which H_CEDE set (and keeps RI on).
    unsafe { asm!("mtmsrd {0}, 1", in(reg) 2u64, options(nostack)) }
    no_decrementer();
    disturbances() == before
}

/// How often we were disturbed.
pub fn disturbances() -> u64 {
    DISTURBANCES.load(Ordering::Relaxed)
}

/// The interrupt controller's number for the vCPU that runs this: the assembly keeps which of ours it is at the upper end of its stacks.
pub fn server() -> u64 {
    let vcpu: usize;
    // SAFETY: 1. SPRG3 has that end, and the word was written when the vCPU began.
    unsafe { asm!("mfspr {0}, 275", "ld {0}, -24({0})", out(reg_nonzero) vcpu, options(readonly, nostack)) }
    machine::server(vcpu % machine::MOST)
}

/// Does something during which data storage and program interrupts are gone on behind: how many there were, and the last address.
pub fn told(work: impl FnOnce()) -> (u64, u64) {
    TOLD.store(1, Ordering::Relaxed);
    work();
    (TOLD.swap(0, Ordering::Relaxed) - 1, LAST.load(Ordering::Relaxed))
}

/// Goes on behind the instruction if that is what is measured. The same instructions for both vectors: what one of them costs is taken off the other.
fn is_measured(frame: &mut Frame) -> bool {
    let told = TOLD.load(Ordering::Relaxed);
    if told == 0 || frame.vector & !(DATA_STORAGE ^ PROGRAM) != DATA_STORAGE & PROGRAM {
        return false;
    }
    TOLD.store(told + 1, Ordering::Relaxed);
    LAST.store(frame.dar, Ordering::Relaxed);
    frame.nip += INSTRUCTION;
    true
}

/// The assembly resumes the frame afterwards.
#[unsafe(no_mangle)]
extern "C" fn guest_interrupt(frame: &mut Frame) {
    if is_measured(frame) {
        return;
    }
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
