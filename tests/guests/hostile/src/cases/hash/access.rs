//! Loads, stores and fetches through entries: what they reach, what is recorded of them, and that nothing reaches anything through an entry that was removed.

use super::{
    NO_TRANSLATION, STORE, effective, executes, is_not_executed, is_nowhere, loads, lonely_page, op_ld_mapped,
    op_std_mapped, refused, stores,
};
use crate::cases::{self, fetch};
use crate::hcall::{self, SUCCESS, call};
use crate::hpt::{CHANGED, COHERENT, EXACT, REFERENCED, SECONDARY, Virtual, enter, map, read, remove};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};
use crate::slb;
use crate::trap::{Op, guarded};

unsafe extern "C" {
    fn op_dcbz_mapped(address: u64) -> u64;
}

pub const CASES: &[Case] = &[
    Case::new("store and load through an entry", through),
    Case::new("access where an entry was removed", removed),
    Case::new("fetch through an entry, and where it was removed", fetched),
    Case::new("the same page of memory through many entries", aliases),
    Case::new("entry in its secondary group", secondary),
    Case::new("entry in a group that is not its own", elsewhere),
    Case::new("two entries for one page", twins),
    Case::new("access across two pages, one of which is not there", across),
    Case::new("an entry leads to another page after it was made anew", anew),
];

const VSID: u64 = 0x5_4000;
/// `sc`, twice.
const SYSTEM_CALLS: u32 = 0x4400_0002;
/// Where the accessed doubleword lies in its page.
const AT: u64 = 0x128;
/// Bytes of a block that `dcbz` zeroes; DAR may be its beginning.
const BLOCK: u64 = 128;

/// The doubleword of a page that is looked at, in effective address space.
const fn at(page: Virtual) -> u64 {
    effective(1) + page.offset + AT
}

/// What hardware recorded since R and C were cleared last.
fn recorded(place: u64) -> Result<u64, crate::report::Why> {
    let found = read(place)?[1] & (REFERENCED | CHANGED);
    for number in [hcall::CLEAR_REF, hcall::CLEAR_MOD] {
        if call(number, &[0, place]).code != SUCCESS {
            fail!("{number:#x} was refused");
        }
    }
    Ok(found)
}

/// What was accessed is recorded, again after it was cleared.
fn through(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    memory::mark(frame, PAGE);
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    let place = map(page, frame, 0)?;
    recorded(place)?;
    for _ in 0..3 {
        loads(at(page), memory::read(frame + AT))?;
        match recorded(place)? {
            REFERENCED => {}
            found => fail!("a load was recorded as {found:#x}"),
        }
        stores(at(page), frame + AT)?;
        match recorded(place)? {
            found if found == REFERENCED | CHANGED => {}
            found => fail!("a store was recorded as {found:#x}"),
        }
        memory::mark(frame, PAGE);
    }
    stores(at(page), frame + AT)?;
    let was = remove(place)?;
    if was != [page.word0(), frame | COHERENT | REFERENCED | CHANGED] {
        fail!("H_REMOVE told {was:x?}");
    }
    memory::mark(frame + AT, 8);
    slb::clear();
    match memory::damage(frame, PAGE) {
        Some(place) => fail!("memory changed at {place:#x}"),
        None => Ok(()),
    }
}

/// Each time, whether it was used before or not. A block that is zeroed is a store.
fn removed(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    is_nowhere(at(page))?;
    for uses in 0..50 {
        let place = map(page, frame, 0)?;
        for _ in 0..uses % 3 {
            stores(at(page), frame + AT)?;
        }
        remove(place)?;
        memory::mark(frame, PAGE);
        is_nowhere(at(page))?;
        refused(op_dcbz_mapped, at(page) & !(BLOCK - 1), NO_TRANSLATION | STORE)?;
    }
    slb::clear();
    match memory::damage(frame, PAGE) {
        Some(place) => fail!("memory changed at {place:#x}"),
        None => Ok(()),
    }
}

fn fetched(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    fetch::write_code(frame, SYSTEM_CALLS, SYSTEM_CALLS);
    let at = effective(1) + page.offset;
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    for _ in 0..10 {
        is_not_executed(at, NO_TRANSLATION)?;
        let place = map(page, frame, 0)?;
        executes(at)?;
        remove(place)?;
    }
    is_not_executed(at, NO_TRANSLATION)?;
    slb::clear();
    Ok(())
}

/// A hundred entries map one page: each is its own, and a store through any is seen through all.
fn aliases(machine: &Machine) -> Verdict {
    let frame = cases::scratch(machine, PAGE)?;
    let vsid = lonely_page(VSID)?.vsid;
    let page = |nth| Virtual::small(vsid, nth * PAGE);
    slb::set(1, effective(1), slb::word(vsid, 0));
    let mut places = [0; 100];
    for (place, nth) in places.iter_mut().zip(0..) {
        *place = map(page(nth), frame, 0)?;
    }
    for nth in 0..100 {
        stores(at(page(nth)), frame + AT)?;
        loads(at(page(99 - nth)), at(page(nth)))?;
    }
    for (place, nth) in places.into_iter().zip(0..) {
        remove(place)?;
        is_nowhere(at(page(nth)))?;
    }
    slb::clear();
    Ok(())
}

fn secondary(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    let place = enter(0, page.secondary(), [page.word0() | SECONDARY, frame | COHERENT])?;
    stores(at(page), frame + AT)?;
    remove(place)?;
    is_nowhere(at(page))?;
    // Neither group has it if H says the other.
    for (group, bit) in [(page.secondary(), 0), (page.primary(), SECONDARY)] {
        let place = enter(0, group, [page.word0() | bit, frame | COHERENT])?;
        is_nowhere(at(page))?;
        remove(place)?;
    }
    slb::clear();
    Ok(())
}

/// An entry that no search finds translates nothing, and does not keep another from being found.
fn elsewhere(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let [frame, other] = [0, PAGE].map(|offset| cases::scratch(machine, 2 * PAGE).map(|start| start + offset));
    let (frame, other) = (frame?, other?);
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    // The next group would be that of the next page: a table that is searched by hash finds it as such.
    let lost = enter(0, page.primary() ^ 8, [page.word0(), other | COHERENT])?;
    is_nowhere(at(page))?;
    let place = map(page, frame, 0)?;
    stores(at(page), frame + AT)?;
    remove(lost)?;
    stores(at(page), frame + AT)?;
    remove(place)?;
    is_nowhere(at(page))?;
    slb::clear();
    Ok(())
}

/// The architecture forbids it, and does not say which one counts; one of them does.
fn twins(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, 2 * PAGE)?;
    memory::write(frame + AT, 1);
    memory::write(frame + PAGE + AT, 2);
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    for order in [[2, 6], [6, 2]] {
        for (nth, frame) in order.into_iter().zip([frame, frame + PAGE]) {
            enter(EXACT, page.primary() + nth, [page.word0(), frame | COHERENT])?;
        }
        for _ in 0..10 {
            if loads(at(page), 1).is_err() {
                loads(at(page), 2)?;
            }
        }
        remove(page.primary() + order[0])?;
        loads(at(page), 2)?;
        remove(page.primary() + order[1])?;
        is_nowhere(at(page))?;
    }
    slb::clear();
    Ok(())
}

/// Half of the doubleword is there: nothing of it is stored, and DAR says where it is not.
fn across(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    memory::mark(frame, PAGE);
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    let place = map(page, frame, 0)?;
    let (end, start) = (effective(1) + page.offset + PAGE, effective(1) + page.offset);
    for (from, missing) in [(end - 4, end), (start - 4, start - 4)] {
        for (op, cause) in [(op_ld_mapped as Op, NO_TRANSLATION), (op_std_mapped, NO_TRANSLATION | STORE)] {
            match guarded(op, from) {
                Ok(value) => fail!("no interrupt at {from:#x}, result {value:#x}"),
                // DAR may be the first byte of the access, too.
                Err(trap) if trap.dsisr & super::CAUSES == cause && [missing, from].contains(&trap.dar) => {}
                Err(trap) => fail!("access at {from:#x}: {}", super::describe(&trap)),
            }
        }
    }
    remove(place)?;
    slb::clear();
    match memory::damage(frame, PAGE) {
        Some(place) => fail!("memory changed at {place:#x}"),
        None => Ok(()),
    }
}

/// Two frames in turns, in the same place of the table: nothing remembers the other.
fn anew(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frames = cases::scratch(machine, 2 * PAGE)?;
    memory::write(frames + AT, 1);
    memory::write(frames + PAGE + AT, 2);
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    for nth in 0..200 {
        let frame = frames + nth % 2 * PAGE;
        enter(EXACT, page.primary() + 7, [page.word0(), frame | COHERENT])?;
        loads(at(page), 1 + nth % 2)?;
        remove(page.primary() + 7)?;
    }
    slb::clear();
    Ok(())
}
