//! Areas per vCPU (H_REGISTER_VPA): of others, over others', taken back while their vCPU runs.

use super::{next, pick};
use crate::crew;
use crate::hcall::{self, SUCCESS, call, is_papr_code};
use crate::machine::{Machine, server};
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};
use crate::rtas::put;
use crate::smp;

pub const CASES: &[Case] = &[
    Case::new("H_REGISTER_VPA of another vCPU", another),
    Case::new("H_REGISTER_VPA over another's area, and outside memory", over),
    Case::new("H_REGISTER_VPA at a storm", storm),
];

/// Subfunctions.
const REGISTER: u64 = 1 << 45;
const TAKE_BACK: u64 = 5 << 45;
/// Calls of each vCPU.
const CALLS: u64 = 2000;
/// Pages with areas, a marked one on each side.
const PAGES: u64 = 4;

/// Where areas are, each page with the size of one at its beginning.
fn field(machine: &Machine) -> Result<u64, crate::report::Why> {
    let start = crate::cases::scratch(machine, 8 * PAGE)?;
    memory::mark(start, 8 * PAGE);
    (1..=PAGES).for_each(|page| put(start + page * PAGE + 4, 640 << 16));
    Ok(start)
}

/// Nobody has an area, none is written, and the pages around were never.
fn settle(machine: &Machine, start: u64) -> Verdict {
    for &server in machine.servers() {
        let code = call(hcall::REGISTER_VPA, &[TAKE_BACK, server.into(), 0]).code;
        if code != SUCCESS {
            fail!("taking back the area of {server} answered {code}");
        }
    }
    for side in [start, start + (PAGES + 1) * PAGE] {
        if let Some(place) = memory::damage(side, PAGE) {
            fail!("written at {place:#x}, beside the areas");
        }
    }
    memory::mark(start, 8 * PAGE);
    crew::with_others(machine, |_, _| (0..20).for_each(|_| smp::relax()), || Ok(()))?;
    match memory::damage(start, 8 * PAGE) {
        Some(place) => fail!("written at {place:#x} after it was taken back"),
        None => Ok(()),
    }
}

fn another(machine: &Machine) -> Verdict {
    let start = field(machine)?;
    for (page, &server) in (1..=PAGES).zip(machine.servers()) {
        let code = call(hcall::REGISTER_VPA, &[REGISTER, server.into(), start + page * PAGE]).code;
        if code != SUCCESS {
            fail!("of {server} answered {code}");
        }
    }
    crew::with_others(machine, |_, _| smp::relax(), || Ok(()))?;
    settle(machine, start)
}

/// Whether two may have one area is the hypervisor's affair; what they write stays in it.
fn over(machine: &Machine) -> Verdict {
    let start = field(machine)?;
    for &server in machine.servers() {
        for offset in [0, 128] {
            put(start + PAGE + offset + 4, 640 << 16);
            let code = call(hcall::REGISTER_VPA, &[REGISTER, server.into(), start + PAGE + offset]).code;
            if !is_papr_code(code) {
                fail!("answered {code}");
            }
        }
        for address in [machine.end, machine.end - 128, 1 << 40, !127] {
            let code = call(hcall::REGISTER_VPA, &[REGISTER, server.into(), address]).code;
            if code == SUCCESS && address != machine.end - 128 {
                fail!("{address:#x} was taken");
            }
        }
    }
    crew::with_others(machine, |_, _| smp::relax(), || Ok(()))?;
    settle(machine, start)
}

fn storm(machine: &Machine) -> Verdict {
    let start = field(machine)?;
    crew::with_others(machine, register_all, || {
        register_all(machine, 0);
        Ok(())
    })?;
    settle(machine, start)
}

/// Everybody registers and takes back everybody's area, in four pages.
fn register_all(machine: &Machine, vcpu: usize) {
    let Ok(start) = crate::cases::scratch(machine, 8 * PAGE) else { return };
    let mut seed = 0x9e37_79b9_7f4a_7c15 + vcpu as u64;
    for _ in 0..CALLS {
        let nth = usize::try_from(next(&mut seed) >> 40).unwrap_or(0) % machine.servers().len();
        let function = pick(&[REGISTER, REGISTER, TAKE_BACK], &mut seed);
        let page = start + (1 + (next(&mut seed) >> 40) % PAGES) * PAGE;
        let code = call(hcall::REGISTER_VPA, &[function, server(nth), page]).code;
        if !is_papr_code(code) {
            crew::complain(function, code.cast_unsigned());
        }
        if next(&mut seed).is_multiple_of(8) {
            smp::relax();
        }
    }
}
