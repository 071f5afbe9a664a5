//! Branches to where no code is.

use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};
use crate::trap::{Trap, guarded, vector};

unsafe extern "C" {
    fn op_jump(address: u64) -> u64;
}

const NOP: u32 = 0x6000_0000;
const BLR: u32 = 0x4e80_0020;

pub const CASES: &[Case] = &[
    Case::new("branch just above memory", |m| faults(m.end)),
    Case::new("branch to 1<<40", |m| faults(m.beyond(1 << 40))),
    Case::new("branch to the top of 52 bits", |_| faults((1 << 52) - 4)),
    Case::new("branch to a UART of another machine", |_| faults(0x6_0300_d001_03f8)),
    Case::new("run off the end of memory", off_the_end),
    Case::new("branch to zeroes", zeroes),
    Case::new("run code that was just written", fresh_code),
];

/// An instruction storage interrupt, or a machine check, with SRR0 at the target.
fn expect_fetch_fault(result: Result<u64, Trap>, target: u64) -> Verdict {
    match result {
        Ok(_) => fail!("returned from {target:#x}"),
        Err(trap) if trap.nip != target => fail!("vector {:#x}, SRR0 {:#x}, not {target:#x}", trap.vector, trap.nip),
        Err(trap) => match trap.vector {
            vector::INSTRUCTION_STORAGE | vector::INSTRUCTION_SEGMENT | vector::MACHINE_CHECK => Ok(()),
            other => fail!("vector {other:#x} at {target:#x}"),
        },
    }
}

fn faults(target: u64) -> Verdict {
    expect_fetch_fault(guarded(op_jump, target), target)
}

/// Writes two instructions and makes them fit to be fetched.
pub fn write_code(address: u64, first: u32, second: u32) {
    memory::write(address, u64::from(second) << 32 | u64::from(first));
    // SAFETY: 1. Cache maintenance of memory that is there.
    unsafe {
        core::arch::asm!("dcbst 0, {0}", "sync", "icbi 0, {0}", "isync", in(reg) address, options(nostack));
    }
}

/// The last doubleword of memory holds two no-operations.
fn off_the_end(machine: &Machine) -> Verdict {
    if !machine.is_free(machine.end - 8, 8) {
        return faults(machine.end);
    }
    write_code(machine.end - 8, NOP, NOP);
    expect_fetch_fault(guarded(op_jump, machine.end - 8), machine.end)
}

/// Memory that was never touched is fetched as zeroes, and zero is no instruction.
fn zeroes(machine: &Machine) -> Verdict {
    let target = super::scratch(machine, PAGE)? + 5 * PAGE;
    match guarded(op_jump, target) {
        Err(trap) if trap.vector == vector::PROGRAM && trap.nip == target => Ok(()),
        Err(trap) => fail!("vector {:#x}, SRR0 {:#x}", trap.vector, trap.nip),
        Ok(_) => fail!("returned"),
    }
}

fn fresh_code(machine: &Machine) -> Verdict {
    let target = super::scratch(machine, PAGE)? + 6 * PAGE;
    write_code(target, NOP, BLR);
    match guarded(op_jump, target) {
        Ok(_) => Ok(()),
        Err(trap) => fail!("vector {:#x}, SRR0 {:#x}", trap.vector, trap.nip),
    }
}
