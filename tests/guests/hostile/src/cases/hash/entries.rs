//! The calls about an entry that is there already: of none, of another, with conditions that do not hold, with flags that mean nothing.

use super::enter::no_places;
use super::lonely_page;
use crate::cases;
use crate::hcall::{self, NOT_FOUND, PARAMETER, SUCCESS, call, call_whole};
use crate::hpt::{
    CHANGED, COHERENT, EXACT, NAMED, NO_EXECUTE, NONE_OF, READ_4, READ_ONLY, REFERENCED, VALID, Words, enter, entries,
    expect, map, read, remove,
};
use crate::machine::Machine;
use crate::memory::PAGE;
use crate::report::{Case, Verdict, Why, fail};

pub const CASES: &[Case] = &[
    Case::new("calls about entries that are not there", absent),
    Case::new("calls about places that are none", nowhere),
    Case::new("H_REMOVE and H_PROTECT of another entry than is there", misnamed),
    Case::new("H_REMOVE of an entry with bits that it must not have", forbidden_bits),
    Case::new("H_PROTECT with all bits set, and with none", protect),
    Case::new("H_CLEAR_REF and H_CLEAR_MOD tell what was", clear),
    Case::new("H_READ of four at the table's ends", read_four),
];

const VSID: u64 = 0x5_2000;
/// Calls that want an entry, and do without a condition.
const ALL: [u64; 4] = [hcall::REMOVE, hcall::PROTECT, hcall::CLEAR_REF, hcall::CLEAR_MOD];

fn absent(_: &Machine) -> Verdict {
    let place = lonely_page(VSID)?.primary() + 3;
    for number in ALL {
        for flags in [0, NAMED, NONE_OF, u64::MAX] {
            for value in [0, u64::MAX] {
                expect(number, &[flags, place, value], NOT_FOUND)?;
            }
        }
    }
    match read(place)? {
        [0, 0] => Ok(()),
        found => fail!("H_READ of none: {found:x?}"),
    }
}

fn nowhere(_: &Machine) -> Verdict {
    for place in no_places(entries()) {
        for number in ALL.into_iter().chain([hcall::READ]) {
            for flags in [0, NAMED, READ_4, EXACT, u64::MAX] {
                expect(number, &[flags, place, 0], PARAMETER)?;
            }
        }
    }
    Ok(())
}

/// A free frame and an entry for it.
fn entry(machine: &Machine) -> Result<(u64, Words), Why> {
    let page = lonely_page(VSID)?;
    let place = map(page, cases::scratch(machine, PAGE)?, 0)?;
    Ok((place, read(place)?))
}

/// Nothing that is refused changes the entry.
fn misnamed(machine: &Machine) -> Verdict {
    let (place, words) = entry(machine)?;
    let name = words[0] & !0x7f;
    let wrong = [0, name + 0x80, name ^ 1 << 51, name ^ 1 << 62, name | 1, name | 0x40, !name, u64::MAX];
    for value in wrong {
        for number in [hcall::REMOVE, hcall::PROTECT] {
            expect(number, &[NAMED, place, value], NOT_FOUND)?;
        }
        if read(place)? != words {
            fail!("{value:#x} changed {words:x?} to {:x?}", read(place)?);
        }
    }
    expect(hcall::PROTECT, &[NAMED, place, name], SUCCESS)?;
    expect(hcall::REMOVE, &[NAMED, place, name], SUCCESS)?;
    expect(hcall::REMOVE, &[NAMED, place, name], NOT_FOUND)
}

fn forbidden_bits(machine: &Machine) -> Verdict {
    let (place, words) = entry(machine)?;
    for value in [VALID, words[0], u64::MAX] {
        expect(hcall::REMOVE, &[NONE_OF, place, value], NOT_FOUND)?;
    }
    // Both conditions at once: no entry has its own name, and none of its bits.
    expect(hcall::REMOVE, &[NONE_OF | NAMED, place, words[0] & !0x7f], NOT_FOUND)?;
    expect(hcall::REMOVE, &[NONE_OF, place, !words[0]], SUCCESS)
}

/// Only PP, N and the key are the call's: PP's first bit is bit 55 of the flags, the key's first two are 50 and 51 (LoPAR 14.5.4.1.6).
fn protect(machine: &Machine) -> Verdict {
    const LOW: u64 = 0xe00 | NO_EXECUTE | READ_ONLY;
    const ALL_SET: u64 = 1 << 63 | 3 << 60 | LOW;
    let (place, words) = entry(machine)?;
    for (flags, bits) in
        [(!NAMED, ALL_SET), (0, 0), (LOW, LOW), (0x3000, 3 << 60), (0x100, 1 << 63), (!0x3fff & !NAMED, 0)]
    {
        expect(hcall::PROTECT, &[flags, place, u64::MAX], SUCCESS)?;
        let found = read(place)?;
        if found != [words[0], words[1] | bits] {
            fail!("{flags:#x} made {found:x?} of {words:x?}");
        }
    }
    remove(place).map(drop)
}

/// The answer is the second doubleword before the call; afterwards one bit of it is gone.
fn clear(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    let mut word1 = frame | COHERENT | REFERENCED | CHANGED;
    let place = enter(0, page.primary(), [page.word0(), word1])?;
    for (number, bit) in [(hcall::CLEAR_REF, REFERENCED), (hcall::CLEAR_MOD, CHANGED), (hcall::CLEAR_MOD, CHANGED)] {
        let answer = call(number, &[u64::MAX, place]);
        if (answer.code, answer.value) != (SUCCESS, word1) {
            fail!("{number:#x} answered {} {:#x}, not {word1:#x}", answer.code, answer.value);
        }
        word1 &= !bit;
        if read(place)? != [page.word0(), word1] {
            fail!("{number:#x} left {:x?}", read(place)?);
        }
    }
    remove(place).map(drop)
}

/// Each entry of an aligned four tells of all; there is no four beyond the last.
fn read_four(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let words = [page.word0(), cases::scratch(machine, PAGE)? | COHERENT];
    let place = enter(EXACT, page.primary() + 6, words)?;
    for nth in 4..8 {
        let (code, found) = call_whole(hcall::READ, &[READ_4, page.primary() + nth]);
        if code != SUCCESS || found[..8] != [0, 0, 0, 0, words[0], words[1], 0, 0] {
            fail!("{code} {found:x?}");
        }
    }
    expect(hcall::READ, &[READ_4, entries() - 1], SUCCESS)?;
    expect(hcall::READ, &[READ_4, entries()], PARAMETER)?;
    remove(place).map(drop)
}
