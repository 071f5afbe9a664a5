//! Instructions that drop translations. Of a guest that does not own its table `tlbie` is the hypervisor's (LPCR\[GTSE\] is 0); what reaches only this CPU's caches may be executed, and changes nothing.

use super::{effective, is_nowhere, lonely_page, stores};
use crate::cases::{self, fetch};
use crate::hpt::{map, remove};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};
use crate::slb;
use crate::trap::{Trap, guarded, vector};

unsafe extern "C" {
    fn op_jump(address: u64) -> u64;
}

pub const CASES: &[Case] = &[
    Case::new("tlbie in all its forms", tlbie),
    Case::new("tlbsync", |m| run(m, TLBSYNC, [0, 0], |result| is_program(result, TLBSYNC))),
    Case::new("tlbiel in all its forms", tlbiel),
    Case::new("slbieg, slbsync, slbie and slbia of rubbish", segments),
];

/// Instruction words; those with operands have RB in r4 and RS in r5.
const TLBIE: u32 = 31 << 26 | 5 << 21 | 4 << 11 | 306 << 1;
const TLBIEL: u32 = 31 << 26 | 5 << 21 | 4 << 11 | 274 << 1;
const TLBSYNC: u32 = 31 << 26 | 566 << 1;
const SLBIEG: u32 = 31 << 26 | 5 << 21 | 4 << 11 | 466 << 1;
const SLBSYNC: u32 = 31 << 26 | 338 << 1;
const SLBIE: u32 = 31 << 26 | 4 << 11 | 434 << 1;
const SLBIA: u32 = 31 << 26 | 498 << 1;
/// `ld 4, 32(3)`, `ld 5, 40(3)`, `blr`.
const LOAD_R4: u32 = 0xe883_0020;
const LOAD_R5: u32 = 0xe8a3_0028;
const RETURN: u32 = 0x4e80_0020;
const NO_OPERATION: u32 = 0x6000_0000;
/// Where the instruction stands in the page that is run.
const PLACE: u64 = 8;

/// Runs one instruction with these operands, in a page of its own.
fn run(machine: &Machine, word: u32, [rb, rs]: [u64; 2], judge: impl Fn(Result<u64, u64>) -> Verdict) -> Verdict {
    let code = cases::scratch(machine, PAGE)?;
    fetch::write_code(code + PLACE, word, RETURN);
    fetch::write_code(code + 16, NO_OPERATION, RETURN);
    memory::write(code + 32, rb);
    memory::write(code + 40, rs);
    fetch::write_code(code, LOAD_R4, LOAD_R5);
    match guarded(op_jump, code) {
        Ok(value) => judge(Ok(value)),
        Err(trap) if trap.nip == code + PLACE => judge(Err(trap.vector)),
        Err(Trap { vector, nip, .. }) => fail!("{word:#x} {rb:#x} {rs:#x}: vector {vector:#x}, SRR0 {nip:#x}"),
    }
}

/// It is no instruction of this guest's.
fn is_program(result: Result<u64, u64>, word: u32) -> Verdict {
    match result {
        Err(vector::PROGRAM) => Ok(()),
        Err(vector) => fail!("{word:#x}: vector {vector:#x}"),
        Ok(_) => fail!("{word:#x} was executed"),
    }
}

/// It is none, or one that does no harm.
fn may_run(result: Result<u64, u64>, word: u32) -> Verdict {
    if result.is_ok() { Ok(()) } else { is_program(result, word) }
}

/// RB: pages here and there, everything of a process, of the partition, of all. RS: this partition, the hypervisor, others.
const OPERANDS: [[u64; 2]; 8] =
    [[0, 0], [0, 1], [0x123_4000, 2], [1 << 10, 1], [2 << 10, 0], [2 << 10, 2], [3 << 10, 0], [u64::MAX, u64::MAX]];

/// RIC, PRS and R of all values.
fn forms(machine: &Machine, word: u32, judge: fn(Result<u64, u64>, u32) -> Verdict) -> Verdict {
    for form in (0..16).map(|n| word | n << 16) {
        for operands in OPERANDS {
            run(machine, form, operands, |result| judge(result, form))?;
        }
    }
    Ok(())
}

fn tlbie(machine: &Machine) -> Verdict {
    forms(machine, TLBIE, is_program)
}

/// Between uses of an entry: it goes on to be one, and not to be one.
fn tlbiel(machine: &Machine) -> Verdict {
    let page = lonely_page(0x5_8000)?;
    let frame = cases::scratch(machine, 2 * PAGE)? + PAGE;
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    let place = map(page, frame, 0)?;
    stores(effective(1) + page.offset, frame)?;
    forms(machine, TLBIEL, may_run)?;
    stores(effective(1) + page.offset, frame)?;
    remove(place)?;
    forms(machine, TLBIEL, may_run)?;
    is_nowhere(effective(1) + page.offset)?;
    slb::clear();
    Ok(())
}

fn segments(machine: &Machine) -> Verdict {
    let hints = (0..8).map(|hint| SLBIA | hint << 21);
    for word in [SLBIEG, SLBSYNC, SLBIE].into_iter().chain(hints) {
        for operands in OPERANDS {
            run(machine, word, operands, |result| may_run(result, word))?;
        }
    }
    slb::clear();
    Ok(())
}
