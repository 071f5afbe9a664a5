//! RTAS blocks that are not what they say.
//!
//! A refusal is a return code of the hypervisor call, or a negative status in the block's first result. Results go into
//! the block and nowhere else: marked memory stands around it.

use crate::hcall::{self, SUCCESS, call};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};
use crate::rtas::{get, put};

pub const CASES: &[Case] = &[
    Case::new("RTAS unknown tokens", unknown_tokens),
    Case::new("RTAS with too many arguments or results", too_many).lax_in_qemu("it uses the counts unchecked"),
    Case::new("RTAS block unaligned", unaligned),
    Case::new("RTAS block outside memory", outside),
    Case::new("RTAS block across the end of memory", across_end),
    Case::new("RTAS power-off without arguments", power_off_without),
];

/// Token, counts, sixteen arguments and results.
const BLOCK: u64 = 4 * 19;
/// Where the block stands in its marked page.
const OFFSET: u64 = 0x400;
/// No such function.
const UNKNOWN: u32 = 0x00de_adbe;

/// Writes a block's head into a freshly marked page; where the block is.
fn block(machine: &Machine, token: u32, nargs: u32, nret: u32) -> Result<u64, crate::report::Why> {
    let page = super::scratch(machine, PAGE)?;
    memory::mark(page, PAGE);
    let start = page + OFFSET;
    for (n, word) in (0..).zip([token, nargs, nret]) {
        put(start + 4 * n, word);
    }
    (3..19).for_each(|n| put(start + 4 * n, 0x5a5a_0000));
    Ok(start)
}

/// Makes the call; it must be refused, in one way or the other, and the page around the block unchanged.
fn refused(start: u64, nargs: u32, nret: u32, what: &str) -> Verdict {
    let code = call(hcall::RTAS, &[start]).code;
    let status = if nargs < 16 && nret > 0 { get(start + 12 + 4 * u64::from(nargs)) } else { 0x5a5a_0000 };
    let page = start & !(PAGE - 1);
    let words = (BLOCK + 7) & !7;
    if let Some(place) = memory::damage(page, OFFSET).or(damage_behind(start + words, page + PAGE)) {
        fail!("{what}: memory changed at {place:#x}, block at {start:#x}");
    }
    if code == SUCCESS && status.cast_signed() >= 0 {
        fail!("{what}: success, status {:#x}", status);
    }
    if !hcall::is_papr_code(code) { fail!("{what}: answered {code}") } else { Ok(()) }
}

fn damage_behind(start: u64, end: u64) -> Option<u64> {
    memory::damage(start, end - start)
}

fn unknown_tokens(machine: &Machine) -> Verdict {
    for token in [UNKNOWN, 0, u32::MAX, 0x8000_0000] {
        refused(block(machine, token, 1, 1)?, 1, 1, "unknown token")?;
    }
    Ok(())
}

/// The counts are claims. The token is one that exists, since an unknown one is refused for itself.
fn too_many(machine: &Machine) -> Verdict {
    let token = machine.power_off.unwrap_or(UNKNOWN);
    let max = u32::MAX;
    let wrong =
        [(17, 1), (16, 1), (1, 16), (1, 17), (max, 1), (max, max), (1, max), (0x4000_0000, 1), (0x8000_0001, 1)];
    for (nargs, nret) in wrong {
        for token in [UNKNOWN, token] {
            refused(block(machine, token, nargs, nret)?, nargs, nret, "counts")?;
        }
    }
    Ok(())
}

fn unaligned(machine: &Machine) -> Verdict {
    for offset in [1, 2, 3] {
        let start = block(machine, UNKNOWN, 1, 1)?;
        let code = call(hcall::RTAS, &[start + offset]).code;
        if code == SUCCESS || !hcall::is_papr_code(code) {
            fail!("offset {offset} answered {code}");
        }
    }
    Ok(())
}

fn outside(machine: &Machine) -> Verdict {
    let wrong = [machine.end, machine.end + PAGE, 1 << 32, 1 << 40, (1 << 52) - 64, 1 << 60, !7, u64::MAX];
    for start in wrong.into_iter().filter(|&start| start >= machine.end) {
        let code = call(hcall::RTAS, &[start]).code;
        if code >= SUCCESS || !hcall::is_papr_code(code) {
            fail!("block at {start:#x} answered {code}");
        }
    }
    Ok(())
}

/// The head is in memory, the results would not be; or not even the head is whole.
fn across_end(machine: &Machine) -> Verdict {
    let room = machine.end - 64;
    if !machine.is_free(room, 64) {
        return Ok(());
    }
    for (before, nargs) in [(16, 1), (12, 1), (8, 1), (4, 1), (16, 16), (64, 16)] {
        let start = machine.end - before;
        for (n, word) in (0..).zip([UNKNOWN, nargs, 1]).take_while(|(n, _)| 4 * n < before) {
            put(start + 4 * n, word);
        }
        let code = call(hcall::RTAS, &[start]).code;
        if code >= SUCCESS || !hcall::is_papr_code(code) {
            fail!("block {before} bytes before the end answered {code}");
        }
    }
    Ok(())
}

/// `power-off` has two arguments: without them it must not be one. A guest that is gone here says nothing more.
fn power_off_without(machine: &Machine) -> Verdict {
    match machine.power_off {
        Some(token) => refused(block(machine, token, 0, 1)?, 0, 1, "power-off"),
        None => fail!("the device tree names no token"),
    }
}
