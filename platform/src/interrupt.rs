//! Interrupts of the hypervisor itself. It runs with interrupts off and translation off, so one of these is either a request from
//! outside (system reset: QEMU's `nmi`, an operator) or a fault of ours or of the machine.

use crate::decrementer::low_word;
use crate::{console, panic};
use core::fmt::Write;
use ppc64_arch::mce::MachineCheck;
use ppc64_arch::pvr::Pvr;
use ppc64_arch::spr::live;
use ppc64_arch::trap::vector;
use tock_registers::interfaces::Readable;

/// The registers of what was interrupted, as the head stores and restores them.
#[repr(C, align(16))]
pub struct Frame {
    gpr: [u64; 32],
    nip: u64,
    msr: u64,
    lr: u64,
    ctr: u64,
    xer: u64,
    cr: u64,
    dar: u64,
    dsisr: u64,
    vector: u64,
}

/// A system reset is reported and survived; everything else ends the hypervisor.
pub extern "C" fn on_interrupt(frame: &Frame) {
    if !panic::begin() {
        panic::stop("a second fault while the first was being reported");
    }
    report(frame);
    explain(frame);
    if frame.vector == vector::SYSTEM_RESET {
        panic::over();
        return;
    }
    panic::backtrace(frame.gpr[1]);
    panic::stop(vector::name(frame.vector).unwrap_or("unknown interrupt"));
}

/// What a machine check says, in words.
fn explain(frame: &Frame) {
    let Some(cpu) = Pvr::new(low_word(live::PVR.get())).cpu() else { return };
    if frame.vector == vector::MACHINE_CHECK {
        let found = MachineCheck::of(cpu, frame.nip, frame.msr, low_word(frame.dsisr), frame.dar);
        _ = writeln!(console::Console, "  {found}");
    }
}

/// Prints the vector and the registers.
fn report(frame: &Frame) {
    let mut out = console::Console;
    let name = vector::name(frame.vector).unwrap_or("?");
    _ = writeln!(out, "samewise: {name} interrupt ({:#x}) at {:#x}, msr {:#x}", frame.vector, frame.nip, frame.msr);
    _ = writeln!(out, "  lr {:#x} ctr {:#x} xer {:#x} cr {:#x}", frame.lr, frame.ctr, frame.xer, frame.cr);
    _ = writeln!(out, "  dar {:#x} dsisr {:#x}", frame.dar, frame.dsisr);
    for (index, four) in frame.gpr.chunks_exact(4).enumerate() {
        _ = writeln!(out, "  r{:<2} {:016x} {:016x} {:016x} {:016x}", index * 4, four[0], four[1], four[2], four[3]);
    }
}
