//! Process-scoped translation whose tables are wrong, and problem state, which needs translation.
//!
//! Low memory is mapped to itself by one leaf of 1 GiB, so that code and stack go on working when translation is turned
//! on. Behind it lie effective addresses whose tables lead to nothing (Power ISA 3.1B, Book III, radix tree translation).

use crate::hcall::{self, FUNCTION, PRIVILEGE, SUCCESS, call};
use crate::machine::Machine;
use crate::memory;
use crate::report::{Case, Verdict, Why, fail};
use crate::trap::{Op, Trap, guarded, vector};

unsafe extern "C" {
    fn op_ld_translated(address: u64) -> u64;
    fn op_std_translated(address: u64) -> u64;
    fn op_user(address: u64) -> u64;
    static user_hcall: u8;
    static user_hcall_next: u8;
    static user_privileged: u8;
}

pub const CASES: &[Case] = &[
    Case::new("translation on, to the same address", identity),
    Case::new("translated access without an entry", |m| fault(m, ABSENT)),
    Case::new("translated access to outside memory", |m| fault(m, OUTSIDE)),
    Case::new("page table outside memory", |m| fault(m, NO_TABLE)),
    Case::new("page table beyond 52 bits", |m| fault(m, FAR_TABLE)),
    Case::new("page-table root outside memory", root_outside),
    Case::new("process table outside memory", process_table_outside),
    Case::new("hypervisor call from problem state", problem_state_call),
    Case::new("privileged instruction in problem state", problem_state_privileged),
];

const GIB: u64 = 1 << 30;
/// Effective addresses with something wrong, one GiB apart.
const ABSENT: u64 = GIB;
const OUTSIDE: u64 = 2 * GIB;
const NO_TABLE: u64 = 3 * GIB;
const FAR_TABLE: u64 = 4 * GIB;

const VALID: u64 = 1 << 63;
/// Leaf; referenced, changed; read, write, execute; not privileged.
const LEAF: u64 = VALID | 1 << 62 | 0x187;
/// Nine bits of index in the table below.
const NINE: u64 = 9;
/// 52 bits of effective address: 31 plus a field in two pieces that holds 21. The root has 2^13 entries.
const TREE: u64 = 2 << 61 | 5 << 5 | 13;
/// Tells the hypervisor: new, radix, guest does its own tlbie.
const NEW_RADIX: u64 = 0x1d;

/// Where the tables stand in scratch memory.
struct Tables {
    root: u64,
    second: u64,
    process: u64,
}

/// Table entries are big-endian.
fn entry(address: u64, value: u64) {
    memory::write(address, value.swap_bytes());
}

/// Builds the tables and registers them.
fn tables(machine: &Machine) -> Result<Tables, Why> {
    let root = super::scratch(machine, 0x20000)?;
    let tables = Tables { root, second: root + 0x10000, process: root + 0x11000 };
    memory::clear(root, 0x20000);
    entry(root, VALID | tables.second | NINE);
    entry(tables.second, LEAF);
    entry(tables.second + 8 * 2, LEAF | 1 << 40);
    entry(tables.second + 8 * 3, VALID | 1 << 40 | NINE);
    entry(tables.second + 8 * 4, VALID | ((1 << 60) - (1 << 52)) | NINE);
    entry(tables.process, TREE | root);
    register(tables.process)?;
    Ok(tables)
}

fn register(base: u64) -> Verdict {
    memory::sync();
    match call(hcall::REGISTER_PROC_TBL, &[NEW_RADIX, base, 0, 0]).code {
        SUCCESS => {
            forget();
            Ok(())
        }
        FUNCTION => fail!("H_REGISTER_PROC_TBL is not there"),
        code => fail!("H_REGISTER_PROC_TBL answered {code}"),
    }
}

/// Process 0 from now on, and none of its translations remembered.
fn forget() {
    // SAFETY: 1. Translation is off; nothing that runs depends on the process.
    //         2. The word is tlbie r8, r7 with RIC=2, PRS=1, R=1; IS=1 makes it flush one process of this guest.
    unsafe {
        core::arch::asm!("mtspr 48, 7", "isync", "ptesync", ".long 0x7ceb4264", "eieio", "tlbsync", "ptesync",
            in("r7") 0u64, in("r8") 0x400u64, options(nostack));
    }
}

fn identity(machine: &Machine) -> Verdict {
    let tables = tables(machine)?;
    let place = tables.root + 0x18000;
    memory::write(place, 0x1234_5678_9abc_def0);
    match guarded(op_ld_translated, place) {
        Ok(0x1234_5678_9abc_def0) => Ok(()),
        Ok(value) => fail!("read {value:#x}"),
        Err(trap) => fail!("{}", describe(&trap)),
    }
}

fn describe(trap: &Trap) -> Why {
    Why::new(format_args!(
        "vector {:#x} SRR0 {:#x} SRR1 {:#x} DAR {:#x} DSISR {:#x}",
        trap.vector, trap.nip, trap.msr, trap.dar, trap.dsisr
    ))
}

/// Both kinds of access end in a data storage interrupt at that address, or a machine check.
fn fault(machine: &Machine, address: u64) -> Verdict {
    tables(machine)?;
    for op in [op_ld_translated as Op, op_std_translated] {
        match guarded(op, address + 0x128) {
            Ok(value) => fail!("no interrupt, r3 {value:#x}"),
            Err(trap) => match trap.vector {
                vector::MACHINE_CHECK => {}
                vector::DATA_STORAGE if trap.dar == address + 0x128 => {}
                _ => fail!("{}", describe(&trap)),
            },
        }
    }
    Ok(())
}

/// With no way to translate anything, the very next fetch fails.
fn nothing_translates() -> Verdict {
    match guarded(op_ld_translated, 0) {
        Err(trap) => match trap.vector {
            vector::INSTRUCTION_STORAGE | vector::DATA_STORAGE | vector::MACHINE_CHECK => Ok(()),
            _ => fail!("{}", describe(&trap)),
        },
        Ok(_) => fail!("no interrupt"),
    }
}

fn root_outside(machine: &Machine) -> Verdict {
    let tables = tables(machine)?;
    entry(tables.process, TREE | 1 << 40);
    memory::sync();
    forget();
    nothing_translates()
}

/// A refusal is good; so is an acceptance after which every access faults.
fn process_table_outside(machine: &Machine) -> Verdict {
    tables(machine)?;
    if register(1 << 40).is_err() {
        return Ok(());
    }
    nothing_translates()
}

fn address_of(symbol: *const u8) -> u64 {
    symbol.addr() as u64
}

/// H_PRIVILEGE, or an interrupt to the guest's own kernel: the program interrupt, or the system call's.
fn problem_state_call(machine: &Machine) -> Verdict {
    tables(machine)?;
    let next = address_of(&raw const user_hcall_next);
    match guarded(op_user, address_of(&raw const user_hcall)) {
        Err(trap) if trap.vector == vector::PROGRAM && (next - 4..=next).contains(&trap.nip) => Ok(()),
        Err(trap) if trap.vector == vector::SYSTEM_CALL && trap.nip == next => Ok(()),
        Err(trap) if trap.vector == vector::SYSTEM_CALL && trap.r3 == PRIVILEGE.cast_unsigned() => Ok(()),
        Err(trap) => fail!("{} r3 {:#x}", describe(&trap), trap.r3),
        Ok(_) => fail!("came back without an interrupt"),
    }
}

fn problem_state_privileged(machine: &Machine) -> Verdict {
    tables(machine)?;
    let place = address_of(&raw const user_privileged);
    match guarded(op_user, place) {
        Err(trap) if trap.vector == vector::PROGRAM && trap.nip == place => Ok(()),
        Err(trap) => fail!("{}", describe(&trap)),
        Ok(_) => fail!("came back without an interrupt"),
    }
}
