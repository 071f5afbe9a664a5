//! Every hypervisor call, every argument at its extremes.
//!
//! Each number gets each extreme value in each argument, the others being harmless, and the same value in all of them.
//! The answer must be a PAPR code; for a number that PAPR never gave away it must be H_FUNCTION. After each number code,
//! constants and marked pages must be as they were.
//!
//! Left out: what ends or idles the guest by right (H_CEDE, conferring to itself), what the other cases cover with more
//! care (the terminal, RTAS), and writes that the guest is entitled to make over its own code.

use super::next;
use crate::hcall::{self, FUNCTION, call, is_papr_code};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Report, Verdict, fail};
use crate::trap;

/// PAPR's own numbers, in steps of four.
const PAPR_END: u64 = 0x500;
/// Numbers from here to `PAPR_END` were never given away.
const UNASSIGNED: u64 = 0x4d0;
const GROUP: u64 = 0x80;
const ARGUMENTS: usize = 6;

/// Runs the groups, each a case with a line of its own, so that a hypervisor that dies says roughly where.
pub fn run(machine: &Machine, report: &mut Report) {
    const PAPR: [Case; 10] = [
        Case::new("calls 0x000-0x07c at extremes", |m| papr(m, 0)),
        Case::new("calls 0x080-0x0fc at extremes", |m| papr(m, 1)),
        Case::new("calls 0x100-0x17c at extremes", |m| papr(m, 2)),
        Case::new("calls 0x180-0x1fc at extremes", |m| papr(m, 3)),
        Case::new("calls 0x200-0x27c at extremes", |m| papr(m, 4)),
        Case::new("calls 0x280-0x2fc at extremes", |m| papr(m, 5)),
        Case::new("calls 0x300-0x37c at extremes", |m| papr(m, 6)),
        Case::new("calls 0x380-0x3fc at extremes", |m| papr(m, 7)),
        Case::new("calls 0x400-0x47c at extremes", |m| papr(m, 8)),
        Case::new("calls 0x480-0x4fc at extremes", |m| papr(m, 9)),
    ];
    PAPR.iter().for_each(|case| report.run(case, machine));
    report.run(&Case::new("calls between PAPR's numbers", between), machine);
    report.run(&Case::new("calls 0xf000-0xf100 at extremes", private), machine);
    report.run(&Case::new("nested-guest calls at extremes", nested), machine);
    report.run(&Case::new("calls of random numbers", random), machine);
    report.run(&Case::new("console, decrementer and memory still work", aftermath), machine);
}

/// Marked pages here and there, and what the image adds up to.
struct Canaries {
    pages: [u64; 4],
    image: u64,
}

impl Canaries {
    fn set(machine: &Machine) -> Self {
        let at = |from| machine.free_block(from, PAGE).unwrap_or(0);
        let last = machine.last_free_page().unwrap_or(0) - PAGE;
        let pages = [at(machine.end / 4), at(machine.end / 2), at(machine.end / 4 * 3), last];
        pages.iter().filter(|&&page| machine.is_free(page, PAGE)).for_each(|&page| memory::mark(page, PAGE));
        Self { pages, image: memory::image_sum() }
    }

    fn check(&self, machine: &Machine, number: u64) -> Verdict {
        let mut kept = self.pages.iter().filter(|&&page| machine.is_free(page, PAGE));
        if let Some(place) = kept.find_map(|&page| memory::damage(page, PAGE)) {
            fail!("{number:#x} changed memory at {place:#x}");
        }
        if memory::image_sum() == self.image { Ok(()) } else { fail!("{number:#x} changed code or constants") }
    }
}

/// Values at which checks tend to be wrong.
fn extremes(machine: &Machine, scratch: u64) -> [u64; 18] {
    [
        0,
        1,
        u64::MAX,
        i64::MIN.cast_unsigned(),
        i64::MAX.cast_unsigned(),
        0xffff_ffff,
        1 << 32,
        1 << 40,
        1 << 45,
        (1 << 52) - 8,
        machine.end,
        machine.end - 8,
        machine.end - 1,
        machine.end + 1,
        scratch,
        scratch + 3,
        u64::MAX - 7,
        u64::MAX - 0xfff,
    ]
}

/// Would the call, rightly made, do what this test cannot stand?
fn is_left_out(machine: &Machine, number: u64, args: &[u64; ARGUMENTS]) -> bool {
    match number {
        hcall::PUT_TERM_CHAR | hcall::CEDE | hcall::RTAS => true,
        // QEMU does not set the return code of a confer to everybody.
        hcall::CONFER => args[0] == 0 || machine.plain,
        hcall::PAGE_INIT | hcall::LOGICAL_CI_STORE | hcall::LOGICAL_CACHE_STORE => args[1] < memory::image_end(),
        // QEMU aborts when a guest without a hash table asks for its entries.
        0x04..=0x18 | 0x124 => machine.plain,
        // QEMU's private calls: a memory operation of any length, and two that rewrite the device tree.
        0xf001..=0xf003 => machine.plain,
        _ => false,
    }
}

fn try_one(machine: &Machine, number: u64, args: &[u64; ARGUMENTS], exact: bool) -> Verdict {
    if is_left_out(machine, number, args) {
        return Ok(());
    }
    let code = call(number, args).code;
    if exact && code != FUNCTION {
        fail!("{number:#x} {args:x?} answered {code}, not H_FUNCTION");
    }
    if is_papr_code(code) { Ok(()) } else { fail!("{number:#x} {args:x?} answered {code}, which is no PAPR code") }
}

/// All extremes in all places for one number.
fn all_extremes(machine: &Machine, number: u64, canaries: &Canaries, exact: bool) -> Verdict {
    let scratch = super::scratch(machine, 16 * PAGE)?;
    let base = match number {
        hcall::PAGE_INIT | hcall::LOGICAL_CI_STORE | hcall::LOGICAL_CACHE_STORE => [0, scratch, scratch, 0, 0, 0],
        _ => [0; ARGUMENTS],
    };
    for value in extremes(machine, scratch) {
        for place in 0..ARGUMENTS {
            let mut args = base;
            args[place] = value;
            try_one(machine, number, &args, exact)?;
        }
        try_one(machine, number, &[value; ARGUMENTS], exact)?;
    }
    settle();
    canaries.check(machine, number)
}

/// Takes back what an accepted call may have set: watchdogs, the interrupt priority, breakpoints.
fn settle() {
    call(hcall::WATCHDOG, &[2 << 8, u64::MAX]);
    call(hcall::CPPR, &[0]);
    call(hcall::SET_MODE, &[0, 1, 0, 0]);
    call(hcall::SET_MODE, &[0, 2, 0, 0]);
}

fn papr(machine: &Machine, group: u64) -> Verdict {
    let canaries = Canaries::set(machine);
    let numbers = (group * GROUP..((group + 1) * GROUP).min(PAPR_END)).step_by(4);
    numbers.into_iter().try_for_each(|n| all_extremes(machine, n, &canaries, n >= UNASSIGNED))
}

/// PAPR's numbers are multiples of four.
fn between(machine: &Machine) -> Verdict {
    let canaries = Canaries::set(machine);
    for number in (0..PAPR_END).filter(|n| n % 4 != 0) {
        try_one(machine, number, &[0; ARGUMENTS], true)?;
        try_one(machine, number, &[u64::MAX; ARGUMENTS], true)?;
    }
    canaries.check(machine, PAPR_END)
}

fn private(machine: &Machine) -> Verdict {
    let canaries = Canaries::set(machine);
    (0xf000..=0xf100).try_for_each(|number| all_extremes(machine, number, &canaries, number > 0xf0f0))
}

/// A guest of ours has no guests of its own.
fn nested(machine: &Machine) -> Verdict {
    let canaries = Canaries::set(machine);
    (0xf800..=0xf810).step_by(4).try_for_each(|number| all_extremes(machine, number, &canaries, false))
}

/// Numbers of all sizes, from a generator of fixed seed; a known one among them is an accident that does not happen.
fn random(machine: &Machine) -> Verdict {
    let canaries = Canaries::set(machine);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for n in 0..2000 {
        let number = next(&mut state) >> (n % 44);
        if number < 0x1_0000 {
            continue;
        }
        let args = [(); ARGUMENTS].map(|()| next(&mut state));
        try_one(machine, number, &args, true)?;
    }
    canaries.check(machine, u64::MAX)
}

/// After all that, an interrupt still comes, and memory still holds.
fn aftermath(machine: &Machine) -> Verdict {
    let scratch = super::scratch(machine, PAGE)?;
    memory::mark(scratch, PAGE);
    match trap::guarded(super::time::wait_for_decrementer, machine.timebase / 100) {
        Err(trap) if trap.vector == trap::vector::DECREMENTER => {}
        Err(trap) => fail!("vector {:#x}", trap.vector),
        Ok(_) => fail!("no decrementer interrupt"),
    }
    match memory::damage(scratch, PAGE) {
        Some(place) => fail!("memory changed at {place:#x}"),
        None => Ok(()),
    }
}
