//! Hypervisor calls that read or write guest memory for the guest.

use super::calls::refused;
use crate::hcall::{self, FUNCTION, SUCCESS, call};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};

const LAX: &str = "it passes these addresses to its memory unchecked";

pub const CASES: &[Case] = &[
    Case::new("H_PAGE_INIT outside memory", init_outside),
    Case::new("H_PAGE_INIT with wrong flags or addresses", init_wrong),
    Case::new("H_PAGE_INIT clears and copies one page", init_good),
    Case::new("H_LOGICAL_CI_* outside memory", ci_outside).lax_in_qemu(LAX),
    Case::new("H_LOGICAL_CACHE_* outside memory", cache_outside).lax_in_qemu(LAX),
    Case::new("H_LOGICAL_ICBI and DCBF outside memory", lines_outside).lax_in_qemu(LAX),
];

/// Flags: clear the page, copy it.
const ZERO: u64 = 1 << 15;
const COPY: u64 = 1 << 14;

/// Addresses that are no page of memory.
fn outside(machine: &Machine) -> [u64; 6] {
    [machine.end, machine.end + PAGE, 1 << 40, (1 << 52) - PAGE, 1 << 60, !(PAGE - 1)]
}

fn init_outside(machine: &Machine) -> Verdict {
    let inside = super::scratch(machine, PAGE)?;
    memory::mark(inside, PAGE);
    for address in outside(machine) {
        refused(hcall::PAGE_INIT, &[ZERO, address, 0])?;
        refused(hcall::PAGE_INIT, &[COPY, address, inside])?;
        refused(hcall::PAGE_INIT, &[COPY, inside, address])?;
    }
    unharmed(inside)
}

fn unharmed(start: u64) -> Verdict {
    match memory::damage(start, PAGE) {
        Some(place) => fail!("memory changed at {place:#x}"),
        None => Ok(()),
    }
}

fn init_wrong(machine: &Machine) -> Verdict {
    let inside = super::scratch(machine, PAGE)?;
    memory::mark(inside, PAGE);
    refused(hcall::PAGE_INIT, &[ZERO, inside + 8, 0])?;
    refused(hcall::PAGE_INIT, &[COPY, inside, inside + 1])?;
    refused(hcall::PAGE_INIT, &[1 | ZERO, inside, 0])?;
    refused(hcall::PAGE_INIT, &[u64::MAX, inside, inside + PAGE])?;
    unharmed(inside)
}

/// Three marked pages: the middle one is cleared, then made a copy of another. The neighbours stay.
fn init_good(machine: &Machine) -> Verdict {
    let start = super::scratch(machine, 4 * PAGE)?;
    let (target, source) = (start + PAGE, start + 3 * PAGE);
    memory::mark(start, 4 * PAGE);
    match call(hcall::PAGE_INIT, &[ZERO, target, 0]).code {
        SUCCESS => {}
        FUNCTION => return Ok(()),
        code => fail!("clearing answered {code}"),
    }
    if let Some(place) = words(target).find(|&place| memory::read(place) != 0) {
        fail!("not cleared at {place:#x}");
    }
    let code = call(hcall::PAGE_INIT, &[COPY, target, source]).code;
    if code != SUCCESS {
        fail!("copying answered {code}");
    }
    if let Some(place) = words(target).find(|&place| memory::read(place) != memory::read(place + 2 * PAGE)) {
        fail!("not copied at {place:#x}");
    }
    [start, start + 2 * PAGE, source].into_iter().try_for_each(unharmed)
}

fn words(start: u64) -> impl Iterator<Item = u64> {
    (start..start + PAGE).step_by(8)
}

/// All sizes, and some that are none.
fn ci_outside(machine: &Machine) -> Verdict {
    for address in outside(machine).into_iter().chain([machine.end - 4]) {
        refused(hcall::LOGICAL_CI_LOAD, &[8, address])?;
        refused(hcall::LOGICAL_CI_STORE, &[8, address, u64::MAX])?;
    }
    let inside = super::scratch(machine, PAGE)?;
    [0, 3, 16, u64::MAX].into_iter().try_for_each(|size| refused(hcall::LOGICAL_CI_LOAD, &[size, inside]))
}

fn cache_outside(machine: &Machine) -> Verdict {
    for address in outside(machine) {
        refused(hcall::LOGICAL_CACHE_LOAD, &[8, address])?;
        refused(hcall::LOGICAL_CACHE_STORE, &[8, address, u64::MAX])?;
    }
    Ok(())
}

/// Nothing is read or written, so success does no harm; but a hypervisor that touches the line must not fall over.
fn lines_outside(machine: &Machine) -> Verdict {
    for address in outside(machine) {
        for number in [hcall::LOGICAL_ICBI, hcall::LOGICAL_DCBF] {
            let code = call(number, &[address]).code;
            if !hcall::is_papr_code(code) {
                fail!("{number:#x} {address:#x} answered {code}");
            }
        }
    }
    Ok(())
}
