//! Calls of another kind of guest, and those that say how this one is translated.

use super::{effective, is_nowhere, lonely_page, stores};
use crate::cases::{self, calls::refused};
use crate::hcall::{self, FUNCTION, PARAMETER, SUCCESS, call};
use crate::hpt::{expect, map, remove};
use crate::machine::Machine;
use crate::memory::PAGE;
use crate::report::{Case, Verdict, fail};
use crate::slb;

pub const CASES: &[Case] = &[
    Case::new("H_REGISTER_PROC_TBL of another kind of guest", process_tables),
    Case::new("H_REGISTER_PROC_TBL of segment tables", segment_tables),
    Case::new("calls of radix guests and of hypervisors", others),
    Case::new("H_SET_MODE, and the table goes on", set_mode),
];

/// Flags of H_REGISTER_PROC_TBL: the guest flushes for itself, radix, a table is named, and it is new.
const GTSE: u64 = 1;
const RADIX: u64 = 4;
const HASH: u64 = 2;
const REGISTER: u64 = 8;
const NEW: u64 = 0x10;

/// This guest does not become one that has tables of its own.
fn process_tables(machine: &Machine) -> Verdict {
    let base = cases::scratch(machine, 0x1_0000)?;
    for flags in (0..0x20).filter(|flags| flags & (RADIX | HASH) != 0) {
        for [base, page, size] in [[base, 0, 0], [base, 0, 24], [0, 0, 0], [u64::MAX; 3], [machine.end, 0, 4]] {
            expect(hcall::REGISTER_PROC_TBL, &[flags, base, page, size], PARAMETER)?;
        }
    }
    works(machine)
}

/// Nor one whose segments are in a table; that it goes on as it is may be said.
fn segment_tables(machine: &Machine) -> Verdict {
    for flags in [0, REGISTER, NEW] {
        expect(hcall::REGISTER_PROC_TBL, &[flags, 0, 0, 0], SUCCESS)?;
    }
    // It has no tlbie.
    for flags in [GTSE, NEW | GTSE] {
        expect(hcall::REGISTER_PROC_TBL, &[flags, 0, 0, 0], PARAMETER)?;
    }
    for base in [1 << 38, 1 << 52, u64::MAX] {
        refused(hcall::REGISTER_PROC_TBL, &[NEW | REGISTER, base, 0, 0])?;
    }
    for page in [8, 1 << 12, u64::MAX] {
        refused(hcall::REGISTER_PROC_TBL, &[NEW | REGISTER, 0, page, 0])?;
    }
    for flags in [0x20, 1 << 32, 1 << 63, u64::MAX] {
        expect(hcall::REGISTER_PROC_TBL, &[flags, 0, 0, 0], PARAMETER)?;
    }
    works(machine)
}

/// Translation is as it was.
fn works(machine: &Machine) -> Verdict {
    let page = lonely_page(0x5_9000)?;
    let frame = cases::scratch(machine, PAGE)?;
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    let place = map(page, frame, 0)?;
    stores(effective(1) + page.offset, frame)?;
    remove(place)?;
    is_nowhere(effective(1) + page.offset)?;
    slb::clear();
    Ok(())
}

/// Invalidation for radix guests, removal by blocks, the SLB's table; partitions of a guest's own.
fn others(machine: &Machine) -> Verdict {
    for number in [0x328, 0x374, 0x378, 0x448].into_iter().chain((0xf800..=0xf810).step_by(4)) {
        for value in [0, 1, cases::scratch(machine, PAGE)?, u64::MAX] {
            expect(number, &[value; 6], FUNCTION)?;
        }
    }
    works(machine)
}

/// Where interrupts go, with translation on, and in which byte order: real mode's go on as they are.
fn set_mode(machine: &Machine) -> Verdict {
    const PLACE: u64 = 3;
    const BYTE_ORDER: u64 = 4;
    for place in [0, 1, 2, 3, 4, u64::MAX] {
        let code = call(hcall::SET_MODE, &[place, PLACE, 0, 0]).code;
        if !hcall::is_papr_code(code) || place == 0 && code != SUCCESS {
            fail!("place {place} answered {code}");
        }
        works(machine)?;
    }
    expect(hcall::SET_MODE, &[0, PLACE, 0, 0], SUCCESS)?;
    refused(hcall::SET_MODE, &[2, BYTE_ORDER, 0, 0])?;
    works(machine)
}
