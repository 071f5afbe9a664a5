//! Loads and stores where no memory is: a data storage interrupt with the address in DAR, or a machine check. Never a
//! value, and never silence.

use crate::machine::Machine;
use crate::memory::PAGE;
use crate::report::{Case, Verdict, fail};
use crate::trap::{Op, Trap, guarded, vector};

unsafe extern "C" {
    fn op_lbz(address: u64) -> u64;
    fn op_lhz(address: u64) -> u64;
    fn op_lwz(address: u64) -> u64;
    fn op_ld(address: u64) -> u64;
    fn op_stb(address: u64) -> u64;
    fn op_sth(address: u64) -> u64;
    fn op_stw(address: u64) -> u64;
    fn op_std(address: u64) -> u64;
    fn op_dcbz(address: u64) -> u64;
    fn op_ldarx(address: u64) -> u64;
}

pub const CASES: &[Case] = &[
    Case::new("load just above memory", |m| loads(m.end)),
    Case::new("store just above memory", |m| stores(m.end)),
    Case::new("load a page above memory", |m| loads(m.end + PAGE)),
    Case::new("access at 1<<40", |m| both(m.beyond(1 << 40))),
    Case::new("access at the top of 52 bits", |_| both((1 << 52) - 8)),
    Case::new("access in the last page of 52 bits", |_| both((1 << 52) - PAGE)),
    Case::new("access above 52 bits", |m| both(m.beyond(1 << 52))),
    Case::new("access at 1<<57", |m| both(m.beyond(1 << 57))),
    Case::new("access at a UART of another machine", |_| both(0x6_0300_d001_03f8)),
    Case::new("access at odd addresses", odd),
    Case::new("cache-block and reserving accesses outside", special),
    Case::new("access across the end of memory", across_end),
    Case::new("hundred faults in a row", many),
];

/// DSISR: the access was a store.
const STORE: u64 = 0x0200_0000;

/// Is this the interrupt that an access to `address` by the instruction at `op` must get?
fn expect_fault(op: Op, address: u64, store: bool) -> Verdict {
    match guarded(op, address) {
        Ok(value) => fail!("no interrupt at {address:#x}, result {value:#x}"),
        Err(trap) => judge(&trap, op as *const () as u64, address, store),
    }
}

fn judge(trap: &Trap, nip: u64, address: u64, store: bool) -> Verdict {
    if trap.nip != nip {
        fail!("vector {:#x} with SRR0 {:#x}, not {nip:#x}", trap.vector, trap.nip);
    }
    match trap.vector {
        vector::MACHINE_CHECK => Ok(()),
        vector::DATA_STORAGE | vector::DATA_SEGMENT if trap.dar != address => {
            fail!("DAR {:#x}, not {address:#x}", trap.dar)
        }
        vector::DATA_STORAGE if (trap.dsisr & STORE != 0) != store => {
            fail!("DSISR {:#x} at {address:#x}, store: {store}", trap.dsisr)
        }
        vector::DATA_STORAGE if trap.dsisr & !STORE == 0 => fail!("DSISR {:#x} names no cause", trap.dsisr),
        vector::DATA_STORAGE | vector::DATA_SEGMENT => Ok(()),
        other => fail!("vector {other:#x} at {address:#x}"),
    }
}

fn loads(address: u64) -> Verdict {
    [op_lbz as Op, op_lhz, op_lwz, op_ld].into_iter().try_for_each(|op| expect_fault(op, address, false))
}

fn stores(address: u64) -> Verdict {
    [op_stb as Op, op_sth, op_stw, op_std].into_iter().try_for_each(|op| expect_fault(op, address, true))
}

fn both(address: u64) -> Verdict {
    loads(address)?;
    stores(address)
}

fn odd(machine: &Machine) -> Verdict {
    let far = [1 << 40 | 3, 1 << 47 | 5].map(|address| machine.beyond(address));
    [machine.end + 1, machine.end + 7].into_iter().chain(far).try_for_each(both)
}

/// `dcbz` is a store; its address names a block. `ldarx` must be aligned and is a load.
fn special(machine: &Machine) -> Verdict {
    let address = machine.end + PAGE;
    expect_fault(op_dcbz, address, true)?;
    expect_fault(op_ldarx, address, false)
}

/// Half of the doubleword is memory. DAR may name the start of the access or the first byte that is not there.
fn across_end(machine: &Machine) -> Verdict {
    let start = machine.end - 4;
    match guarded(op_ld, start) {
        Ok(value) => fail!("no interrupt, result {value:#x}"),
        Err(trap) if trap.dar == machine.end => judge(&trap, op_ld as *const () as u64, machine.end, false),
        Err(trap) => judge(&trap, op_ld as *const () as u64, start, false),
    }
}

/// What a fault leaves behind in the hypervisor must not pile up.
fn many(machine: &Machine) -> Verdict {
    (0..100).try_for_each(|n| expect_fault(op_ld, machine.end + n * PAGE, false))
}
