//! Hypervisor calls with arguments that are wrong one at a time.

use crate::hcall::{self, PARAMETER, SUCCESS, call, is_papr_code};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};
use crate::rtas::put;

pub const CASES: &[Case] = &[
    Case::new("H_SET_MODE with wrong arguments", set_mode),
    Case::new("H_PUT_TERM_CHAR with wrong arguments", put_term),
    Case::new("H_GET_TERM_CHAR of no terminal", |_| refused(hcall::GET_TERM_CHAR, &[0x1234_5678])),
    Case::new("H_IPI to servers that do not exist", ipi),
    Case::new("identifiers that are right but for their upper half", upper_half).lax_in_qemu("it drops that half"),
    Case::new("H_EOI of rubbish", eoi),
    Case::new("H_IPOLL of no server", |_| refused(hcall::IPOLL, &[9999])),
    Case::new("H_PROD of no processor", |_| refused(hcall::PROD, &[9999])),
    Case::new("H_REGISTER_VPA at wrong addresses", vpa_addresses),
    Case::new("H_REGISTER_VPA with wrong sizes", vpa_sizes),
    Case::new("H_REGISTER_VPA of other processors and kinds", vpa_others),
    Case::new("H_REGISTER_VPA and back", vpa_good),
    Case::new("H_REGISTER_PROC_TBL with wrong flags", proc_table_flags),
    Case::new("H_REGISTER_PROC_TBL at wrong addresses", proc_table_addresses),
];

/// The call answers with a PAPR code, and it is not success.
pub fn refused(number: u64, args: &[u64]) -> Verdict {
    match call(number, args).code {
        code if code == SUCCESS || code > 0 => fail!("{number:#x} {args:x?} answered {code}"),
        code if !is_papr_code(code) => fail!("{number:#x} {args:x?} answered {code}, which is no PAPR code"),
        _ => Ok(()),
    }
}

fn all_refused(number: u64, list: &[[u64; 4]]) -> Verdict {
    list.iter().try_for_each(|args| refused(number, args))
}

/// Resource 4 is the interrupts' byte order, 3 their location; the rest does not exist or has no such mode.
fn set_mode(_: &Machine) -> Verdict {
    let wrong = [[1, 0, 0, 0], [1, 99, 0, 0], [1, u64::MAX, 0, 0], [2, 4, 0, 0], [u64::MAX, 4, 0, 0]];
    let values = [[1, 4, 1, 0], [1, 4, 0, 1], [9, 3, 0, 0], [3, 3, 5, 0], [3, 3, 0, u64::MAX]];
    all_refused(hcall::SET_MODE, &wrong)?;
    all_refused(hcall::SET_MODE, &values)
}

fn put_term(machine: &Machine) -> Verdict {
    let unit = machine.terminal;
    let lengths = [17, 18, 1 << 32, i64::MIN.cast_unsigned(), u64::MAX];
    lengths.into_iter().try_for_each(|length| refused(hcall::PUT_TERM_CHAR, &[unit, length, 0, 0]))?;
    all_refused(hcall::PUT_TERM_CHAR, &[[0x1234_5678, 1, 0, 0], [u64::MAX, 1, 0, 0]])
}

fn ipi(_: &Machine) -> Verdict {
    [1000, 9999, u64::MAX].into_iter().try_for_each(|server| refused(hcall::IPI, &[server, 0]))
}

/// Terminals and processors are named by 64 bits, all of which count.
fn upper_half(machine: &Machine) -> Verdict {
    refused(hcall::PUT_TERM_CHAR, &[1 << 40 | machine.terminal, 1, 0x0d << 56, 0])?;
    refused(hcall::IPI, &[1 << 32, 0xff])?;
    refused(hcall::REGISTER_VPA, &[function(1), 1 << 32, area(machine, 640)?])
}

/// What an unknown interrupt source is answered with is left open; that there is an answer is not.
fn eoi(_: &Machine) -> Verdict {
    for rubbish in [0x00ff_ffff, 0xff12_3456, u64::MAX, 1 << 63, 0x00ab_cdef] {
        let code = call(hcall::EOI, &[rubbish]).code;
        if !is_papr_code(code) {
            fail!("{rubbish:#x} answered {code}");
        }
    }
    call(hcall::CPPR, &[0]);
    Ok(())
}

/// The subfunction, in the place where the call wants it.
const fn function(n: u64) -> u64 {
    n << 45
}

/// A page whose size field, a halfword at 4, says `size`.
fn area(machine: &Machine, size: u32) -> Result<u64, crate::report::Why> {
    let start = super::scratch(machine, 4 * PAGE)?;
    memory::clear(start, 4 * PAGE);
    put(start + 4, size << 16);
    Ok(start)
}

fn vpa_addresses(machine: &Machine) -> Verdict {
    let start = area(machine, 640)?;
    let last = machine.end;
    let wrong = [start + 1, start + 8, last, last + PAGE, 1 << 40, 1 << 60, !127, u64::MAX];
    wrong.into_iter().try_for_each(|address| refused(hcall::REGISTER_VPA, &[function(1), 0, address]))
}

/// Too small; larger than what is left of the page.
fn vpa_sizes(machine: &Machine) -> Verdict {
    for size in [0, 1, 639] {
        let start = area(machine, size)?;
        refused(hcall::REGISTER_VPA, &[function(1), 0, start])?;
    }
    let start = area(machine, 640)?;
    put(start + PAGE - 128 + 4, 640 << 16);
    refused(hcall::REGISTER_VPA, &[function(1), 0, start + PAGE - 128])?;
    let start = area(machine, 0xffff)?;
    refused(hcall::REGISTER_VPA, &[function(1), 0, start])
}

fn vpa_others(machine: &Machine) -> Verdict {
    let start = area(machine, 640)?;
    for (subfunction, processor) in [(1, 9999), (1, u64::MAX), (0, 0), (4, 0)] {
        refused(hcall::REGISTER_VPA, &[function(subfunction), processor, start])?;
    }
    Ok(())
}

/// Registers a good one and takes it back; it must not be written after that.
fn vpa_good(machine: &Machine) -> Verdict {
    let start = area(machine, 640)?;
    for subfunction in [1, 5] {
        let code = call(hcall::REGISTER_VPA, &[function(subfunction), 0, start]).code;
        if code != SUCCESS {
            fail!("subfunction {subfunction} answered {code}");
        }
    }
    memory::mark(start, PAGE);
    call(hcall::GET_TERM_CHAR, &[machine.terminal]);
    match memory::damage(start, PAGE) {
        Some(place) => fail!("written at {place:#x} after it was taken back"),
        None => Ok(()),
    }
}

/// NEW and RADIX.
const TABLE: u64 = 0x1c;

fn proc_table_flags(machine: &Machine) -> Verdict {
    let base = super::scratch(machine, PAGE)?;
    let wrong = [[0x20, base, 0, 0], [0x3c, base, 0, 0], [u64::MAX, base, 0, 0], [1 << 63 | TABLE, base, 0, 0]];
    all_refused(hcall::REGISTER_PROC_TBL, &wrong)?;
    all_refused(hcall::REGISTER_PROC_TBL, &[[TABLE, base, 1, 0], [TABLE, base, 0, 25], [TABLE, base, 0, u64::MAX]])
}

/// A base outside memory may also be accepted: then it is the walk through it that must fail, which `translate` tests.
fn proc_table_addresses(machine: &Machine) -> Verdict {
    let base = super::scratch(machine, PAGE)?;
    let wrong = [[TABLE, base + 1, 0, 0], [TABLE, base + 8, 0, 0], [TABLE, 1 << 60, 0, 0], [TABLE, u64::MAX, 0, 0]];
    all_refused(hcall::REGISTER_PROC_TBL, &wrong)?;
    for address in [machine.end, 1 << 40, (1 << 52) - PAGE] {
        match call(hcall::REGISTER_PROC_TBL, &[TABLE, address, 0, 0]).code {
            SUCCESS | PARAMETER | -55 => {}
            code => fail!("{address:#x} answered {code}"),
        }
    }
    Ok(())
}
