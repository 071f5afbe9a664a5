//! Tables of other sizes: H_RESIZE_HPT_PREPARE and H_RESIZE_HPT_COMMIT, as LoPAR has them.

use super::{effective, is_nowhere, loads, lonely_page, stores};
use crate::cases::{self, smp::pick};
use crate::hcall::{
    BUSY, CLOSED, GROUP_FULL, LONG_BUSY, NO_MEMORY, PARAMETER, RESIZE_COMMIT, RESIZE_PREPARE, RESOURCE, SUCCESS, call,
};
use crate::hpt::{self, BOLTED, COHERENT, Virtual, enter, expect, map, read, remove};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, Why, fail};
use crate::slb;

pub const CASES: &[Case] = &[
    Case::new("tables of sizes that there are not", no_sizes),
    Case::new("commit of a table that was not prepared", unprepared),
    Case::new("prepared, cancelled, and prepared in another size", cancelled),
    Case::new("bolted entries stay, others do not", kept),
    Case::new("a table with no room for what has to stay", no_room),
    Case::new("resizes at a storm", storm),
];

const VSID: u64 = 0x5_a000;
const AT: u64 = 0x128;
/// The smallest table: 256 KiB.
pub const SMALLEST: u32 = 18;

/// Has a table made until it is there, or refused: the code.
fn prepare(order: u32) -> i64 {
    for _ in 0..10_000 {
        match call(RESIZE_PREPARE, &[0, order.into()]).code {
            LONG_BUSY => {}
            code => return code,
        }
    }
    LONG_BUSY
}

/// Goes over to a table of another size, if that can be had: the code.
pub fn resize(order: u32) -> i64 {
    match prepare(order) {
        SUCCESS => match call(RESIZE_COMMIT, &[0, order.into()]).code {
            SUCCESS => {
                hpt::has_size(order);
                SUCCESS
            }
            code => code,
        },
        code => code,
    }
}

/// As `resize`, where nothing stands in the way.
pub fn must_resize(order: u32) -> Verdict {
    match resize(order) {
        SUCCESS => Ok(()),
        code => fail!("a table of 2^{order} bytes: {code}"),
    }
}

/// The size that the guest began with.
pub fn first(machine: &Machine) -> u32 {
    machine.hash.map_or(SMALLEST, |table| table.order)
}

fn no_sizes(machine: &Machine) -> Verdict {
    for flags in [1, 1 << 63, u64::MAX] {
        expect(RESIZE_PREPARE, &[flags, first(machine).into()], PARAMETER)?;
        expect(RESIZE_COMMIT, &[flags, first(machine).into()], CLOSED)?;
    }
    for order in (1..SMALLEST.into()).chain([47, 63, 64, 255, 1 << 32 | 20, 1 << 63, u64::MAX]) {
        expect(RESIZE_PREPARE, &[0, order], PARAMETER)?;
        expect(RESIZE_COMMIT, &[0, order], CLOSED)?;
    }
    for order in first(machine) + 2..=46 {
        match call(RESIZE_PREPARE, &[0, order.into()]).code {
            RESOURCE | NO_MEMORY => {}
            code => fail!("2^{order} bytes: {code}"),
        }
        expect(RESIZE_COMMIT, &[0, order.into()], CLOSED)?;
    }
    Ok(())
}

fn unprepared(machine: &Machine) -> Verdict {
    for order in (0..=46).chain([u64::MAX]) {
        expect(RESIZE_COMMIT, &[0, order], CLOSED)?;
    }
    // The largest is not made in one call.
    let order = u64::from(first(machine)) + 1;
    expect(RESIZE_PREPARE, &[0, order], LONG_BUSY)?;
    expect(RESIZE_COMMIT, &[0, order], BUSY)?;
    expect(RESIZE_COMMIT, &[0, order - 1], CLOSED)?;
    expect(RESIZE_PREPARE, &[0, 0], SUCCESS)?;
    expect(RESIZE_COMMIT, &[0, order], CLOSED)
}

fn cancelled(machine: &Machine) -> Verdict {
    let (order, other) = (first(machine), SMALLEST);
    for _ in 0..20 {
        expect(RESIZE_PREPARE, &[0, 0], SUCCESS)?;
        match [prepare(order), prepare(other)] {
            [SUCCESS, SUCCESS] => {}
            codes => fail!("{codes:?}"),
        }
        // The second one took the first one's place.
        expect(RESIZE_COMMIT, &[0, order.into()], CLOSED)?;
        // There is none of that kind; and what cannot be gives up the one that is prepared.
        expect(RESIZE_COMMIT, &[1, other.into()], CLOSED)?;
        expect(RESIZE_PREPARE, &[0, other.into()], SUCCESS)?;
        expect(RESIZE_PREPARE, &[0, 1], PARAMETER)?;
        expect(RESIZE_COMMIT, &[0, other.into()], CLOSED)?;
        if prepare(other) != SUCCESS {
            fail!("not prepared once more");
        }
        expect(RESIZE_PREPARE, &[0, 0], SUCCESS)?;
        expect(RESIZE_COMMIT, &[0, other.into()], CLOSED)?;
    }
    Ok(())
}

/// Two pages, one of whose entries is bolted, in tables of all sizes.
fn kept(machine: &Machine) -> Verdict {
    let frame = cases::scratch(machine, 2 * PAGE)?;
    let bolted = lonely_page(VSID)?;
    let other = Virtual::small(bolted.vsid, bolted.offset + PAGE);
    let [at, other_at] = [bolted, other].map(|page| effective(1) + page.offset + AT);
    slb::set(1, effective(1), slb::word(bolted.vsid, 0));
    enter(0, bolted.primary(), [bolted.word0() | BOLTED, frame | COHERENT])?;
    stores(at, frame + AT)?;
    for order in (SMALLEST..=first(machine) + 1).rev().chain([first(machine)]) {
        let place = map(other, frame + PAGE, 0)?;
        stores(other_at, frame + PAGE + AT)?;
        must_resize(order)?;
        is_nowhere(other_at)?;
        loads(at, at)?;
        stores(at, frame + AT)?;
        if place < hpt::entries() && read(place)?[0] == other.word0() {
            fail!("the other one is still in {place:#x}");
        }
    }
    slb::clear();
    remove(place_of(bolted)?).map(drop)
}

/// Where a page's entry stands in its primary group.
fn place_of(page: Virtual) -> Result<u64, Why> {
    for place in page.primary()..page.primary() + hpt::GROUP {
        if read(place)?[0] & !hpt::SOFTWARE == page.word0() {
            return Ok(place);
        }
    }
    fail!("no entry of segment {:#x} in its group", page.vsid)
}

/// Nine bolted entries that have groups of their own in this table, and one in a smaller one, which has room for eight: the present table stays, and all that is in it.
fn no_room(machine: &Machine) -> Verdict {
    let frame = cases::scratch(machine, PAGE)?;
    let groups = 1 << (SMALLEST - 7);
    let page = |nth: u64| Virtual::small(VSID + 0x40 + nth * groups, super::OFFSET);
    must_resize(first(machine))?;
    if page(0).primary() == page(1).primary() {
        fail!("the table is too small for that");
    }
    for nth in 0..9 {
        enter(0, page(nth).primary(), [page(nth).word0() | BOLTED, frame | COHERENT])?;
    }
    for _ in 0..3 {
        match resize(SMALLEST) {
            GROUP_FULL => {}
            code => fail!("answered {code}"),
        }
        expect(RESIZE_COMMIT, &[0, SMALLEST.into()], CLOSED)?;
        for nth in 0..9 {
            slb::set(1, effective(1), slb::word(page(nth).vsid, 0));
            stores(effective(1) + page(nth).offset + AT, frame + AT)?;
            slb::clear();
        }
    }
    for nth in 0..9 {
        remove(place_of(page(nth))?)?;
    }
    must_resize(SMALLEST)?;
    must_resize(first(machine))
}

/// Some hundred times: tables prepared, cancelled, gone over to. What is bolted stays where it was.
fn storm(machine: &Machine) -> Verdict {
    let frame = cases::scratch(machine, PAGE)?;
    memory::mark(frame, PAGE);
    let page = lonely_page(VSID + 0x80)?;
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    enter(0, page.primary(), [page.word0() | BOLTED, frame | COHERENT])?;
    let (mut state, mut commits, mut order) = (0x9e37_79b9_7f4a_7c15, 0, 0);
    for _ in 0..400 {
        let number = pick(&[RESIZE_PREPARE, RESIZE_PREPARE, RESIZE_COMMIT], &mut state);
        order = match cases::next(&mut state) >> 60 {
            0 => cases::next(&mut state) >> 56,
            1..10 => order,
            _ => pick(&[18, 19, 20, 21, 22], &mut state),
        };
        match (number, call(number, &[0, order]).code) {
            (RESIZE_COMMIT, SUCCESS) => {
                hpt::has_size(u32::try_from(order).unwrap_or(0));
                commits += 1;
            }
            (_, SUCCESS | BUSY | CLOSED | LONG_BUSY | PARAMETER | RESOURCE | NO_MEMORY) => {}
            (number, code) => fail!("{number:#x} {order} answered {code}"),
        }
        loads(effective(1) + page.offset + AT, memory::read(frame + AT))?;
    }
    expect(RESIZE_PREPARE, &[0, 0], SUCCESS)?;
    slb::clear();
    remove(place_of(page)?)?;
    must_resize(first(machine))?;
    if commits < 20 { fail!("only {commits} commits") } else { Ok(()) }
}
