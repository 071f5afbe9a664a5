//! Translation of effective addresses to themselves, for every process number that a pattern may put into PIDR.

use crate::hcall::{REGISTER_PROC_TBL, SUCCESS, call};
use crate::machine::Machine;
use crate::memory;

/// PIDR's patterns have twelve bits.
const PROCESSES: u64 = 1 << 12;
/// 16 bytes for each.
const PROCESS_TABLE: u64 = PROCESSES * 16;
/// A root of 2^13 entries, and one table of 512.
const ROOT: u64 = 0x10000;

const VALID: u64 = 1 << 63;
/// Leaf; referenced, changed; read, write, execute; for both states.
const LEAF: u64 = VALID | 1 << 62 | 0x187;
/// Nine bits of index in the table below.
const NINE: u64 = 9;
/// 52 bits of effective address: 31 plus a field in two pieces that holds 21. The root has 2^13 entries.
const TREE: u64 = 2 << 61 | 5 << 5 | 13;
/// Tells the hypervisor: new, radix, guest does its own tlbie.
const NEW_RADIX: u64 = 0x1d;

/// Builds the tables and registers them: one leaf of 1 GiB for each GiB of memory, the same for all processes.
pub fn identity(machine: &Machine) -> Result<(), &'static str> {
    let block = machine.free_block(32 << 20, 4 * ROOT).ok_or("no room for tables")?;
    let (process, root, second) = (block, block + PROCESS_TABLE, block + PROCESS_TABLE + ROOT);
    memory::clear(block, 4 * ROOT);
    for gib in 0..machine.end.div_ceil(1 << 30) {
        entry(second + 8 * gib, LEAF | gib << 30);
    }
    entry(root, VALID | second | NINE);
    for number in 0..PROCESSES {
        entry(process + 16 * number, TREE | root);
    }
    memory::sync();
    let size = u64::from(PROCESS_TABLE.ilog2()) - 12;
    match call(REGISTER_PROC_TBL, &[NEW_RADIX, process, 0, size]).code {
        SUCCESS => Ok(()),
        _ => Err("the process table was refused"),
    }
}

/// Table entries are big-endian.
fn entry(address: u64, value: u64) {
    memory::write(address, value.swap_bytes());
}
