//! Segments: those that are not there, and entries that are none. They are the CPU's and the guest's own; the hypervisor only keeps them while another vCPU has the CPU.

use super::{describe, effective, is_none, is_nowhere, lonely_page, op_ld_mapped, op_std_mapped, stores};
use crate::cases;
use crate::hpt::{map, remove};
use crate::machine::Machine;
use crate::memory::PAGE;
use crate::report::{Case, Verdict, fail};
use crate::slb::{self, ENTRIES};
use crate::trap::{Op, guarded, vector};

unsafe extern "C" {
    fn op_fetch_mapped(address: u64) -> u64;
    fn op_slbmte(words: u64) -> u64;
}

pub const CASES: &[Case] = &[
    Case::new("access without a segment", none),
    Case::new("every entry of the SLB", all),
    Case::new("slbmte of rubbish", rubbish),
    Case::new("slbmte of random rubbish", random),
    Case::new("many segments at one address", many),
    Case::new("segments of all virtual space", everywhere),
];

const VSID: u64 = 0x5_7000;
const AT: u64 = 0x128;

/// The guest's own segment interrupts: the hypervisor has no part in them.
fn none(_: &Machine) -> Verdict {
    slb::clear();
    for at in [effective(1), effective(9) + AT, 1 << 63, u64::MAX - 7, 1 << 60] {
        for op in [op_ld_mapped as Op, op_std_mapped] {
            match guarded(op, at) {
                Err(trap) if (trap.vector, trap.dar) == (vector::DATA_SEGMENT, at) && super::is_at(&trap, op) => {}
                Err(trap) => fail!("access at {at:#x}: {}", describe(&trap)),
                Ok(value) => fail!("no interrupt at {at:#x}, result {value:#x}"),
            }
        }
        match guarded(op_fetch_mapped, at & !3) {
            Err(trap) if (trap.vector, trap.nip) == (vector::INSTRUCTION_SEGMENT, at & !3) => {}
            Err(trap) => fail!("fetch from {at:#x}: {}", describe(&trap)),
            Ok(_) => fail!("came back from {at:#x}"),
        }
    }
    Ok(())
}

/// All of them lead to one page, from addresses of their own.
fn all(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    let place = map(page, frame, 0)?;
    slb::clear();
    (0..ENTRIES).for_each(|nth| slb::set(nth, effective(nth), slb::word(page.vsid, 0)));
    (0..ENTRIES).try_for_each(|nth| stores(effective(nth) + page.offset + AT, frame + AT))?;
    remove(place)?;
    (0..ENTRIES).try_for_each(|nth| is_nowhere(effective(nth) + page.offset + AT))?;
    slb::clear();
    Ok(())
}

/// Executed, or refused as an instruction: nothing else.
fn try_one(block: u64, [rs, rb]: [u64; 2]) -> Verdict {
    crate::memory::write(block, rs);
    crate::memory::write(block + 8, rb);
    match guarded(op_slbmte, block) {
        Ok(_) => Ok(()),
        Err(trap) if [vector::PROGRAM, vector::MACHINE_CHECK].contains(&trap.vector) => Ok(()),
        Err(trap) => fail!("slbmte {rs:#x} {rb:#x}: {}", describe(&trap)),
    }
}

/// What an address in such a segment leads to: nothing, since no entry is for it.
fn leads_nowhere(at: u64) -> Verdict {
    is_none(guarded(op_ld_mapped, at), at)
}

/// Reserved sizes of segments and pages, reserved bits, an index beyond the last.
fn rubbish(machine: &Machine) -> Verdict {
    let block = cases::scratch(machine, PAGE)?;
    let (word, at) = (slb::word(VSID, 0), effective(1));
    let good = at | slb::VALID | 1;
    let words = [2 << 62, 3 << 62, 0x10, 0x20, 0x30, 0x120, 0x130, 0xf, 0x40, 0x80, 0xfff, u64::MAX]
        .map(|bits| [word | bits, good]);
    let places = [31, 32, 63, 64, 0xfff].map(|index| [word, at | slb::VALID | index]);
    let esids = [1 << 26, 1 << 12, 0x07ff_f000, u64::MAX].map(|bits| [word, good | bits]);
    for words in words.into_iter().chain(places).chain(esids) {
        slb::clear();
        try_one(block, words)?;
        leads_nowhere(at + AT)?;
    }
    slb::clear();
    Ok(())
}

fn random(machine: &Machine) -> Verdict {
    let block = cases::scratch(machine, PAGE)?;
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for nth in 0..1000 {
        let [rs, rb] = [(); 2].map(|()| cases::next(&mut state));
        // Every second one is an entry in one place.
        let rb = if nth % 2 == 0 { rb } else { rb >> 28 << 28 | slb::VALID | 5 };
        try_one(block, [rs, rb])?;
        leads_nowhere(rb >> 28 << 28 | AT)?;
    }
    slb::clear();
    Ok(())
}

/// The architecture forbids it: any of them counts, or there is a machine check, which this guest gets and survives.
fn many(machine: &Machine) -> Verdict {
    let page = lonely_page(VSID)?;
    let frame = cases::scratch(machine, PAGE)?;
    let place = map(page, frame, 0)?;
    slb::clear();
    (0..ENTRIES).for_each(|nth| slb::set(nth, effective(1), slb::word(page.vsid + nth, 0)));
    for _ in 0..100 {
        match guarded(op_ld_mapped, effective(1) + page.offset + AT) {
            Ok(_) => {}
            Err(trap) if [vector::DATA_STORAGE, vector::DATA_SEGMENT, vector::MACHINE_CHECK].contains(&trap.vector) => {
            }
            Err(trap) => fail!("{}", describe(&trap)),
        }
    }
    slb::clear();
    slb::set(1, effective(1), slb::word(page.vsid, 0));
    stores(effective(1) + page.offset + AT, frame + AT)?;
    slb::clear();
    remove(place).map(drop)
}

/// Segments that no guest has an entry for, at the ends of virtual space, in both sizes.
fn everywhere(_: &Machine) -> Verdict {
    for vsid in [0, 1, (1 << 38) - 1, (1 << 40) - 1, (1 << 50) - 1] {
        for size in [0, slb::MEDIUM, slb::LARGE] {
            slb::clear();
            slb::set(1, effective(1), slb::word(vsid, size));
            leads_nowhere(effective(1) + AT)?;
            slb::set(1, effective(1) >> 40 << 40, slb::TERA | (vsid & ((1 << 38) - 1)) << 24 | size);
            leads_nowhere(effective(1) >> 40 << 40 | AT)?;
        }
    }
    slb::clear();
    Ok(())
}
