//! A table with an entry in every place, all of them for one page of memory: whatever goes along a table, or along the entries of a page, has as much to do as there can be.

use super::resize::{SMALLEST, first, must_resize, resize};
use super::{effective, loads, lonely_page};
use crate::cases;
use crate::hcall::{self, GROUP_FULL, SUCCESS, call, call_whole};
use crate::hpt::{self, BOLTED, COHERENT, EXACT, GROUP, READ_4, entries, expect, read};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};
use crate::slb;

pub const CASES: &[Case] = &[Case::new("a table that is full goes over into a larger one, and back", full)];

const VSID: u64 = 0x5_e000;
const AT: u64 = 0x128;

/// Entries in all places of the smallest table that nobody has; how many.
fn fill(words: hpt::Words) -> Result<u64, crate::report::Why> {
    let mut made = 0;
    for place in 0..entries() {
        match call(hcall::ENTER, &[EXACT, place, words[0], words[1]]).code {
            SUCCESS => made += 1,
            GROUP_FULL => {}
            code => fail!("{place:#x} answered {code}"),
        }
    }
    Ok(made)
}

/// How many entries with this name there are.
fn count(word0: u64) -> Result<u64, crate::report::Why> {
    let mut many = 0;
    for place in (0..entries()).step_by(4) {
        match call_whole(hcall::READ, &[READ_4, place]) {
            (SUCCESS, found) => many += found[..8].iter().step_by(2).filter(|found| **found == word0).count() as u64,
            (code, _) => fail!("H_READ of {place:#x} answered {code}"),
        }
    }
    Ok(many)
}

/// All are bolted, so all have to move. In a larger table each has room; back in the small one real mode may have taken a place meanwhile.
fn full(machine: &Machine) -> Verdict {
    let frame = cases::scratch(machine, PAGE)?;
    memory::write(frame + AT, 1);
    must_resize(SMALLEST)?;
    let page = lonely_page(VSID)?;
    let word0 = page.word0() | BOLTED;
    let made = fill([word0, frame | COHERENT])?;
    if made < entries() / 2 {
        fail!("only {made} entries in {} places", entries());
    }
    for place in (0..entries()).step_by(64 * 8 + 8) {
        expect(hcall::ENTER, &[0, place, word0, frame | COHERENT], GROUP_FULL)?;
    }
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    let at = effective(1) + page.offset + AT;
    loads(at, 1)?;
    must_resize(first(machine))?;
    match count(word0)? {
        many if many == made => {}
        many => fail!("{many} entries of {made}"),
    }
    loads(at, 1)?;
    if read(page.primary() + GROUP - 1)?[0] != word0 {
        fail!("they are not where they belong");
    }
    match resize(SMALLEST) {
        SUCCESS | GROUP_FULL => {}
        code => fail!("back: {code}"),
    }
    loads(at, 1)?;
    hpt::remove_all()?;
    slb::clear();
    must_resize(first(machine))
}
