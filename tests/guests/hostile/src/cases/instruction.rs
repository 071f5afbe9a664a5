//! Instructions that are not for a guest: a program interrupt at the instruction, and nothing changed.

use crate::report::{Case, Verdict, fail};
use crate::trap::{Op, guarded, vector};

unsafe extern "C" {
    fn op_illegal(argument: u64) -> u64;
    fn op_hrfid(argument: u64) -> u64;
    fn op_mtlpcr(argument: u64) -> u64;
    fn op_mflpcr(argument: u64) -> u64;
    fn op_mtlpidr(argument: u64) -> u64;
    fn op_mtptcr(argument: u64) -> u64;
    fn op_mthsrr0(argument: u64) -> u64;
    fn op_mthdec(argument: u64) -> u64;
    fn op_tlbie_partition(argument: u64) -> u64;
    fn op_attn(argument: u64) -> u64;
}

pub const CASES: &[Case] = &[
    Case::new("instruction word 0", |_| program(op_illegal)),
    Case::new("hrfid", |_| program(op_hrfid)),
    Case::new("mtspr LPCR", |_| program(op_mtlpcr)),
    Case::new("mfspr LPCR", |_| program(op_mflpcr)),
    Case::new("mtspr LPIDR", |_| program(op_mtlpidr)),
    Case::new("mtspr PTCR", |_| program(op_mtptcr)),
    Case::new("mtspr HSRR0", |_| program(op_mthsrr0)),
    Case::new("mtspr HDEC", |_| program(op_mthdec)),
    Case::new("partition-scoped tlbie", |_| program(op_tlbie_partition)),
    Case::new("attn", |_| program(op_attn)),
];

fn program(op: Op) -> Verdict {
    let place = op as *const () as u64;
    match guarded(op, 0) {
        Err(trap) if trap.vector == vector::PROGRAM && trap.nip == place => Ok(()),
        Err(trap) => fail!("vector {:#x}, SRR0 {:#x}, instruction at {place:#x}", trap.vector, trap.nip),
        Ok(value) => fail!("was executed, r3 {value:#x}"),
    }
}
