//! H_ENTER of what must not be entered, each thing wrong by itself.

use super::{effective, is_nowhere, lonely_page};
use crate::hcall::{self, GROUP_FULL, PARAMETER, SUCCESS, call};
use crate::hpt::{
    COHERENT, EXACT, GROUP, GUARDED, INHIBITED, LARGE, MEDIUM, SECONDARY, SOFTWARE, VALID, WRITE_THROUGH, enter,
    entries, expect, map, read, remove,
};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};
use crate::{cases, slb};

pub const CASES: &[Case] = &[
    Case::new("H_ENTER of frames outside memory", outside),
    Case::new("H_ENTER of a device's frames, and accesses to them", devices),
    Case::new("H_ENTER with all attributes of storage", attributes),
    Case::new("H_ENTER with all encodings of page sizes", page_sizes),
    Case::new("H_ENTER in segments that are none", segments),
    Case::new("H_ENTER in places that are none", places),
    Case::new("H_ENTER where somebody is", taken),
    Case::new("H_ENTER with all flags", flags),
    Case::new("H_ENTER leaves the hypervisor its bits", software_bits),
];

const VSID: u64 = 0x5_1000;

/// Frames that are none of the guest's memory: just behind it, far behind, at the end of real addresses.
fn nobodys(machine: &Machine) -> [u64; 7] {
    let end = machine.end;
    [end, end + PAGE, 1 << 40, 1 << 46, 0x6_0300_d001_0000, 1 << 56, (1 << 57) - PAGE]
}

fn outside(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    for frame in nobodys(machine) {
        for size in [0, LARGE] {
            let words = [page.word0() | size, frame | COHERENT | if size == 0 { 0 } else { MEDIUM }];
            expect(hcall::ENTER, &[0, page.primary(), words[0], words[1]], PARAMETER)?;
        }
    }
    // The last page is memory, the 64 KiB around the end would not all be, were the end not a multiple of more.
    remove(map(page, machine.end - PAGE, 0)?).map(drop)
}

/// An entry for a device may be made; there is none behind it, and so no access comes to an end.
fn devices(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    for frame in nobodys(machine) {
        let place = enter(0, page.primary(), [page.word0(), frame | INHIBITED | GUARDED])?;
        let verdict = is_nowhere(effective(1) + page.offset + 0x128);
        remove(place)?;
        verdict?;
    }
    slb::clear();
    Ok(())
}

/// Memory is coherent and nothing else; what is none may be anything that is not cached.
fn attributes(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let inside = cases::scratch(machine, PAGE)?;
    for attributes in (0..16).map(|n| n * GUARDED) {
        let device = attributes & (INHIBITED | WRITE_THROUGH) == INHIBITED;
        for (frame, is_good) in [(inside, attributes == COHERENT), (machine.end, device)] {
            let answer = call(hcall::ENTER, &[0, page.primary(), page.word0(), frame | attributes]);
            match (answer.code, is_good) {
                (SUCCESS, true) => drop(remove(answer.value)?),
                (PARAMETER, false) => {}
                (code, _) => fail!("WIMG {attributes:#x} of {frame:#x} answered {code}"),
            }
        }
    }
    Ok(())
}

/// Whether L and LP are those of pages that the guest may have. (QEMU and KVM take pages of 64 KiB in segments of 4 KiB wherever they take 64 KiB, and so do we.)
fn is_offered(machine: &Machine, lp: u64) -> bool {
    let medium = machine.hash.is_some_and(|table| table.medium);
    medium && matches!(lp & 0xf, 1 | 7)
}

/// With L=0 LP is a part of the address; with L=1 most values are nobody's.
fn page_sizes(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    for lp in 0..256 {
        let bits = lp << 12 | COHERENT;
        let answer = call(hcall::ENTER, &[0, page.primary(), page.word0() | LARGE, bits]);
        match (answer.code, is_offered(machine, lp)) {
            (SUCCESS, true) => {
                let [_, word1] = remove(answer.value)?;
                if word1 != bits {
                    fail!("LP {lp:#x} became {word1:#x}");
                }
            }
            (PARAMETER, false) => {}
            (code, _) => fail!("LP {lp:#x} answered {code}"),
        }
        let [_, word1] = remove(enter(0, page.primary(), [page.word0(), bits])?)?;
        if word1 != bits {
            fail!("L=0: {bits:#x} became {word1:#x}");
        }
    }
    Ok(())
}

/// B of 2 and 3, and virtual addresses of more than 68 bits.
fn segments(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    for bit in (52..62).chain([63]) {
        expect(hcall::ENTER, &[0, page.primary(), page.word0() | 1 << bit, frame | COHERENT], PARAMETER)?;
    }
    expect(hcall::ENTER, &[0, page.primary(), page.word0() | 3 << 62, frame | COHERENT], PARAMETER)
}

/// Behind the table, and at the extremes: no call finds a place there.
pub const fn no_places(entries: u64) -> [u64; 10] {
    let top = u64::MAX;
    [entries, entries + 7, 2 * entries, 1 << 32, 1 << 56, 1 << 59, 1 << 60, 1 << 63, top - 7, top]
}

fn places(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    for place in no_places(entries()) {
        for flags in [0, EXACT] {
            expect(hcall::ENTER, &[flags, place, page.word0(), frame | COHERENT], PARAMETER)?;
        }
    }
    // The last group is one.
    let last = entries() - 1;
    match call(hcall::ENTER, &[0, last, page.word0(), frame | COHERENT]) {
        answer if answer.code == SUCCESS && answer.value / GROUP == last / GROUP => remove(answer.value).map(drop),
        answer => fail!("the last group answered {} {:#x}", answer.code, answer.value),
    }
}

/// Eight entries fill a group, each in a place of its own; then there is no room, until one goes.
fn taken(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let (first, frame) = (page.primary(), cases::scratch(machine, PAGE)?);
    let words = [page.word0(), frame | COHERENT];
    let mut seen = 0_u64;
    for nth in 0..GROUP {
        // Any place of the group may be named.
        seen |= 1 << (enter(0, first + nth, words)? - first);
    }
    if seen != 0xff {
        fail!("places {seen:#x}");
    }
    for place in first..first + GROUP {
        for flags in [0, EXACT] {
            expect(hcall::ENTER, &[flags, place, words[0], words[1]], GROUP_FULL)?;
        }
    }
    remove(first + 5)?;
    expect(hcall::ENTER, &[EXACT, first + 4, words[0], words[1]], GROUP_FULL)?;
    match enter(EXACT, first + 5, words)? {
        place if place == first + 5 => {}
        place => fail!("entered in {place:#x}, not {:#x}", first + 5),
    }
    (first..first + GROUP).try_for_each(|place| remove(place).map(drop))
}

/// Flags that ask for what is not done are refused by the number of their bit (LoPAR 14.5); of the others only one means anything.
fn flags(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    memory::mark(frame, PAGE);
    for bit in 0..64 {
        let flag = 1_u64 << (63 - bit);
        let answer = call(hcall::ENTER, &[flag, page.primary(), page.word0(), frame | COHERENT]);
        match (answer.code, bit) {
            (code, 40 | 41 | 48 | 49) if code == -256 - bit => {}
            (SUCCESS, 40 | 41 | 48 | 49) => fail!("bit {bit} was taken"),
            (SUCCESS, _) => drop(remove(answer.value)?),
            (code, _) => fail!("bit {bit} answered {code}"),
        }
    }
    match memory::damage(frame, PAGE) {
        Some(place) => fail!("memory changed at {place:#x}"),
        None => Ok(()),
    }
}

/// Two of the software bits are the guest's; V is not its to choose, and what is reserved is dropped.
fn software_bits(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    let name = page.word0() & !VALID;
    // No real address is that long.
    for beyond in 57..60 {
        expect(hcall::ENTER, &[0, page.primary(), name, frame | COHERENT | 1 << beyond], PARAMETER)?;
    }
    let place = enter(0, page.primary(), [name | 0x78, frame | COHERENT | 1 << 62])?;
    let found = read(place)?;
    if found != [name | SOFTWARE | VALID, frame | COHERENT] {
        fail!("{found:x?}");
    }
    remove(place)?;
    // The secondary group's bit is taken as it comes, wherever the entry stands.
    let place = enter(0, page.primary(), [page.word0() | SECONDARY, frame | COHERENT])?;
    remove(place).map(drop)
}
