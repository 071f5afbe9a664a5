//! H_BULK_REMOVE: four requests of two doublewords, each answered in the place of the request.

use super::enter::no_places;
use super::lonely_page;
use crate::cases;
use crate::hcall::{self, PARAMETER, SUCCESS, call_whole};
use crate::hpt::{CHANGED, COHERENT, EXACT, GROUP, REFERENCED, Virtual, enter, entries, read};
use crate::machine::Machine;
use crate::memory::PAGE;
use crate::report::{Case, Verdict, fail};

pub const CASES: &[Case] = &[
    Case::new("bulk removal of what is there and what is not", mixed),
    Case::new("bulk removal of the same entry four times", repeated),
    Case::new("bulk removal with every kind of control word", kinds),
    Case::new("bulk removal of places that are none", nowhere),
    Case::new("bulk removal with conditions", conditions),
    Case::new("bulk removal of random rubbish", random),
];

const VSID: u64 = 0x5_3000;
/// What a control word is.
const REQUEST: u64 = 1 << 62;
const RESPONSE: u64 = 1 << 63;
const END: u64 = 3 << 62;
/// Answers.
const NOT_FOUND: u64 = 1 << 60;
const BAD: u64 = 2 << 60;
/// R and C of what was removed.
const RECORDED: u64 = 3 << 58;
/// Conditions.
const NONE_OF: u64 = 1 << 56;
const NAMED: u64 = 2 << 56;
const NO_CONDITION: u64 = 3 << 56;
/// The place.
const PLACE: u64 = (1 << 56) - 1;

/// Makes the call: it answers with this code, and these doublewords stand in the list then.
fn list(words: [u64; 8], code: i64, answers: [u64; 8]) -> Verdict {
    let (found, values) = call_whole(hcall::BULK_REMOVE, &words);
    if found != code || values[..8] != answers {
        fail!("{words:x?} answered {found} {:x?}", &values[..8]);
    }
    Ok(())
}

/// Fills a page's primary group with entries of it, each recorded as used and changed.
fn fill(machine: &Machine, page: Virtual) -> Result<u64, crate::report::Why> {
    let frame = cases::scratch(machine, PAGE)?;
    for place in page.primary()..page.primary() + GROUP {
        enter(EXACT, place, [page.word0(), frame | COHERENT | REFERENCED | CHANGED])?;
    }
    Ok(page.primary())
}

/// So many entries are left in the group.
fn left(group: u64, many: usize) -> Verdict {
    let mut count = 0;
    for place in group..group + GROUP {
        count += usize::from(read(place)? != [0, 0]);
    }
    if count == many { Ok(()) } else { fail!("{count} entries are left, not {many}") }
}

fn mixed(machine: &Machine) -> Verdict {
    let group = fill(machine, lonely_page(VSID)?)?;
    let [a, b, c, d] = [1, 3, 4, 6].map(|nth| group + nth);
    let request = |place| REQUEST | place;
    let done = |place| RESPONSE | RECORDED | place;
    list(
        [request(a), 0, request(b), 7, request(c), 0, request(d), 0],
        SUCCESS,
        [done(a), 0, done(b), 7, done(c), 0, done(d), 0],
    )?;
    left(group, 4)?;
    // One that has gone, one that is there, and the end.
    let rest = group + 2;
    list(
        [request(a), 5, request(rest), 0, END | 3, 9, request(group + 5), 0],
        SUCCESS,
        [RESPONSE | NOT_FOUND | a, 5, done(rest), 0, END | 3, 9, request(group + 5), 0],
    )?;
    left(group, 3)?;
    list([END; 8], SUCCESS, [END; 8])?;
    left(group, 3)?;
    empty(group)
}

/// Removes what is left.
fn empty(group: u64) -> Verdict {
    for four in [group, group + 4] {
        let mut words = [0; 8];
        (0..4).for_each(|nth| words[2 * nth] = REQUEST | (four + nth as u64));
        if call_whole(hcall::BULK_REMOVE, &words).0 != SUCCESS {
            fail!("a list of four was not done");
        }
    }
    left(group, 0)
}

fn repeated(machine: &Machine) -> Verdict {
    let group = fill(machine, lonely_page(VSID)?)?;
    let [request, gone] = [REQUEST | group, RESPONSE | NOT_FOUND | group];
    list(
        [request, 0, request, 0, request, 0, request, 0],
        SUCCESS,
        [RESPONSE | RECORDED | group, 0, gone, 0, gone, 0, gone, 0],
    )?;
    left(group, 7)?;
    empty(group)
}

/// All values of the control byte, in the second place of a list. A request that is none ends the list with H_PARAMETER: what was before it is done, what is behind it is not looked at.
fn kinds(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    for byte in 0..256_u64 {
        let group = fill(machine, page)?;
        let (first, second, third) = (group, byte << 56 | (group + 1), REQUEST | (group + 2));
        let words = [REQUEST | first, 0, second, 0, third, 0, END, 0];
        let done = |word: u64| RESPONSE | RECORDED | word & (NO_CONDITION | PLACE);
        let [kind, condition] = [second & END, second & NO_CONDITION];
        let (code, answers, many) = match (kind, condition) {
            (END, _) => (SUCCESS, [second, third], 7),
            // An entry of no name is not there; one with none of no bits is.
            (REQUEST, NAMED) => (SUCCESS, [RESPONSE | NOT_FOUND | second & (NO_CONDITION | PLACE), done(third)], 6),
            (REQUEST, 0 | NONE_OF) => (SUCCESS, [done(second), done(third)], 5),
            _ => (PARAMETER, [RESPONSE | BAD | second & (NO_CONDITION | PLACE), third], 7),
        };
        list(words, code, [done(words[0]), 0, answers[0], 0, answers[1], 0, END, 0])?;
        left(group, many)?;
        empty(group)?;
    }
    Ok(())
}

fn nowhere(_: &Machine) -> Verdict {
    for place in no_places(entries()).map(|place| place & PLACE).into_iter().filter(|place| *place >= entries()) {
        let (request, answer) = (REQUEST | place, RESPONSE | BAD | place);
        list(
            [request, 1, request, 2, request, 3, request, 4],
            PARAMETER,
            [answer, 1, request, 2, request, 3, request, 4],
        )?;
    }
    Ok(())
}

fn conditions(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let group = fill(machine, page)?;
    let not_found = |word: u64| RESPONSE | NOT_FOUND | word & (NO_CONDITION | PLACE);
    let done = |word: u64| RESPONSE | RECORDED | word & (NO_CONDITION | PLACE);
    let [a, b] = [REQUEST | NAMED | group, REQUEST | NONE_OF | (group + 1)];
    let (name, bits) = (page.name(), page.word0());
    list(
        [a, name + 0x80, b, bits, a, name | 1, b, u64::MAX],
        SUCCESS,
        [not_found(a), name + 0x80, not_found(b), bits, not_found(a), name | 1, not_found(b), u64::MAX],
    )?;
    left(group, 8)?;
    list([a, name, b, !bits, END, 0, END, 0], SUCCESS, [done(a), name, done(b), !bits, END, 0, END, 0])?;
    left(group, 6)?;
    empty(group)
}

/// A few thousand lists of all kinds, of places in one group and of any: there is an answer to each, and the group is ours to fill again.
fn random(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let group = fill(machine, page)?;
    let mut state = 0x2545_f491_4f6c_dd1d;
    for _ in 0..2000 {
        let words = [(); 8].map(|()| {
            let word = cases::next(&mut state);
            if word & 3 == 0 { word } else { word & !PLACE | (group + (word >> 8) % GROUP) }
        });
        let (code, _) = call_whole(hcall::BULK_REMOVE, &words);
        if !matches!(code, SUCCESS | PARAMETER) {
            fail!("{words:x?} answered {code}");
        }
    }
    empty(group)?;
    fill(machine, page).and_then(empty)
}
