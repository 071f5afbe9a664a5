//! Pages of 64 KiB, in segments of such and in segments of 4 KiB. A guest that is not told of them has none.

use super::{effective, is_nowhere, lonely_page, stores};
use crate::cases;
use crate::hcall::{self, PARAMETER};
use crate::hpt::{COHERENT, LARGE, MEDIUM, MEDIUM_OF_SMALL, Virtual, enter, expect, map, remove};
use crate::machine::Machine;
use crate::memory::PAGE;
use crate::report::{Case, Verdict};
use crate::slb;

pub const CASES: &[Case] = &[
    Case::new("pages of 64 KiB", medium),
    Case::new("pages of 64 KiB in a segment of 4 KiB", medium_of_small),
    Case::new("segment with a base page size that the entry has not", wrong_base),
];

const VSID: u64 = 0x5_d000;
/// Where the accessed doubleword lies in its page.
const AT: u64 = 0x128;

/// Where it lies in effective address space.
const fn at(page: Virtual) -> u64 {
    effective(1) + page.offset + AT
}

/// Whether the guest was told of such pages.
fn has_medium(machine: &Machine) -> bool {
    machine.hash.is_some_and(|table| table.medium)
}

/// The guest was not told of them, and so this is refused.
fn is_none(page: Virtual, bits: u64) -> Verdict {
    expect(hcall::ENTER, &[0, page.primary(), page.word0() | LARGE, COHERENT | bits], PARAMETER)
}

/// Each sixteenth of the page leads to its sixteenth of the frame.
fn medium(machine: &Machine) -> Verdict {
    let page = Virtual::medium(lonely_page(VSID)?.vsid, 0x12_0000);
    if !has_medium(machine) {
        return is_none(page, MEDIUM);
    }
    let frame = cases::scratch(machine, 16 * PAGE)?;
    slb::set(1, effective(1), slb::word(page.vsid, slb::MEDIUM));
    is_nowhere(at(page))?;
    let place = map(page, frame, MEDIUM)?;
    for piece in (0..16).map(|nth| nth * PAGE) {
        stores(at(page) + piece, frame + AT + piece)?;
    }
    for next in [effective(1) + page.offset - 8, effective(1) + page.offset + 16 * PAGE] {
        is_nowhere(next)?;
    }
    remove(place)?;
    is_nowhere(at(page))?;
    slb::clear();
    Ok(())
}

/// An entry for every second piece of the page, in the piece's own group. Hardware may have the whole page from any of them, until all are removed.
fn medium_of_small(machine: &Machine) -> Verdict {
    let vsid = lonely_page(VSID)?.vsid;
    let piece = |nth| Virtual::small(vsid, 0x12_0000 + nth * PAGE);
    if !has_medium(machine) {
        return is_none(piece(0), MEDIUM_OF_SMALL);
    }
    let frame = cases::scratch(machine, 16 * PAGE)?;
    slb::set(1, effective(1), slb::word(vsid, 0));
    let mut places = [0; 8];
    for (place, nth) in places.iter_mut().zip((0..).step_by(2)) {
        *place = enter(0, piece(nth).primary(), [piece(nth).word0() | LARGE, frame | COHERENT | MEDIUM_OF_SMALL])?;
    }
    (0..16).step_by(2).try_for_each(|nth| stores(at(piece(nth)), frame + AT + nth * PAGE))?;
    for place in places {
        remove(place)?;
    }
    (0..16).try_for_each(|nth| is_nowhere(at(piece(nth))))?;
    slb::clear();
    Ok(())
}

/// An entry of 4 KiB is none in a segment of 64 KiB, nor the other way round, though both would be looked for in one group by one name: the first page of a segment hashes alike in both sizes.
fn wrong_base(machine: &Machine) -> Verdict {
    let vsid = lonely_page(VSID)?.vsid;
    let frame = cases::scratch(machine, 16 * PAGE)?;
    let small = (Virtual::small(vsid, 0), 0, [slb::MEDIUM, slb::LARGE]);
    let medium = (Virtual::medium(vsid, 0), MEDIUM, [0, slb::LARGE]);
    for (page, bits, segments) in [small, medium].into_iter().take(if has_medium(machine) { 2 } else { 1 }) {
        let place = map(page, frame, bits)?;
        for segment in segments {
            slb::clear();
            slb::set(1, effective(1), slb::word(vsid, segment));
            is_nowhere(at(page))?;
        }
        slb::clear();
        slb::set(1, effective(1), slb::word(vsid, if bits == 0 { 0 } else { slb::MEDIUM }));
        stores(at(page), frame + AT)?;
        slb::clear();
        remove(place)?;
    }
    Ok(())
}
