//! Real mode. A hash guest's is an area of virtual space (Power ISA 3.1B Book III 6.7.3.3) whose entries stand in the guest's table with all others: the hypervisor makes them, and the guest can take
//! them away, change them, and make its own. What it does so it does to itself.

use super::{
    NO_EXECUTION, NO_TRANSLATION, PROTECTION, STORE, describe, is_none, is_nowhere, loads, lonely_page, stores,
};
use crate::cases::{self, fetch};
use crate::hcall::{self, NOT_FOUND, SUCCESS, call};
use crate::hpt::{
    self, BOLTED, COHERENT, EXACT, GROUP, GUARDED, INHIBITED, MEDIUM, NO_EXECUTE, SECONDARY, Virtual, enter, entries,
    protect, read, remove,
};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, Why, fail};
use crate::slb;
use crate::trap::{Op, guarded, vector};

unsafe extern "C" {
    fn op_ld(address: u64) -> u64;
    fn op_std(address: u64) -> u64;
    fn op_jump(address: u64) -> u64;
}

pub const CASES: &[Case] = &[
    Case::new("real mode where both groups are full", no_room),
    Case::new("real mode as the guest's own entries have it", own),
    Case::new("real mode that is protected by its entry", protected),
    Case::new("real mode that leads to a device", device),
    Case::new("real mode every TiB", every_tib),
    Case::new("real mode's segment, translated", translated),
    Case::new("the whole table is emptied below the guest", emptied),
];

const VSID: u64 = 0x5_6000;
const AT: u64 = 0x128;
/// `sc`, twice.
const SYSTEM_CALLS: u32 = 0x4400_0002;
/// Where real mode's segment is put in effective space.
const SEGMENT: u64 = 1 << 44;

/// Marked pages all over the memory that no case uses.
fn bystanders(machine: &Machine) -> impl Iterator<Item = u64> {
    (16..64)
        .filter_map(|nth| machine.free_block(machine.end / 64 * nth, PAGE))
        .filter(|&page| machine.is_free(page, PAGE))
}

/// Marks them.
pub fn mark_bystanders(machine: &Machine) {
    bystanders(machine).for_each(|page| memory::mark(page, PAGE));
}

/// They are as they were marked.
pub fn unharmed(machine: &Machine) -> Verdict {
    match bystanders(machine).find_map(|page| memory::damage(page, PAGE)) {
        Some(place) => fail!("memory changed at {place:#x}"),
        None if bystanders(machine).count() < 40 => fail!("too few pages"),
        None => Ok(()),
    }
}

/// log2 of the pages that real mode has: the largest that the guest may have.
fn base(machine: &Machine) -> u32 {
    if machine.hash.is_some_and(|table| table.medium) { 16 } else { 12 }
}

/// Two pages of real mode.
struct Area {
    page: Virtual,
    first: u64,
    second: u64,
    /// LP of an entry for one.
    size: u64,
}

impl Area {
    /// With nobody's entry for the first one; it has 1 where it is looked at, the second one 2.
    fn new(machine: &Machine) -> Result<Self, Why> {
        let base = base(machine);
        let first = cases::scratch(machine, 2 << base)?;
        let area = Self {
            page: Virtual::real_mode(first, base),
            first,
            second: first + (1 << base),
            size: if base == 16 { MEDIUM } else { 0 },
        };
        memory::write(area.first + AT, 1);
        memory::write(area.second + AT, 2);
        area.forget()?;
        Ok(area)
    }

    /// Removes whatever there is for the first page.
    fn forget(&self) -> Verdict {
        for (group, bit) in [(self.page.primary(), 0), (self.page.secondary(), SECONDARY)] {
            for place in group..group + GROUP {
                let [word0, _] = read(place)?;
                if word0 & !0x78 == self.page.word0() | bit {
                    remove(place)?;
                }
            }
        }
        Ok(())
    }

    /// An entry that leads the first page's addresses to `frame`.
    fn lead_to(&self, frame: u64, bits: u64) -> Result<u64, Why> {
        enter(0, self.page.primary(), [self.page.word0(), frame | self.size | bits])
    }

    /// Real mode finds at the first page's address what stands in it.
    fn is_itself(&self) -> Verdict {
        match (guarded(op_ld, self.first + AT), guarded(op_ld, self.second + AT)) {
            (Ok(1), Ok(2)) => Ok(()),
            (first, second) => fail!("{:#x?} {:#x?}", first.ok(), second.ok()),
        }
    }
}

/// The access ends in a data storage interrupt with this cause.
fn refused(op: Op, at: u64, cause: u64) -> Verdict {
    match guarded(op, at) {
        Err(trap)
            if (trap.vector, trap.dar, trap.nip) == (vector::DATA_STORAGE, at, op as *const () as u64)
                && trap.dsisr & super::CAUSES == cause =>
        {
            Ok(())
        }
        Err(trap) => fail!("access at {at:#x}, cause {cause:#x}: {}", describe(&trap)),
        Ok(value) => fail!("no interrupt at {at:#x}, result {value:#x}"),
    }
}

/// The hypervisor finds no room for an entry, since the guest has filled it with others that are to be kept: that is the guest's own interrupt.
fn no_room(machine: &Machine) -> Verdict {
    let area = Area::new(machine)?;
    let word0 = lonely_page(VSID)?.word0() | BOLTED;
    let mut filled = [0; 16];
    let groups = [area.page.primary(), area.page.secondary()].into_iter().flat_map(|group| group..group + GROUP);
    for (place, filled) in groups.zip(&mut filled) {
        if read(place)? == [0, 0] {
            enter(EXACT, place, [word0, area.second | COHERENT])?;
            *filled = place;
        }
    }
    let verdict = (0..100).try_for_each(|_| {
        refused(op_ld, area.first + AT, NO_TRANSLATION)?;
        refused(op_std, area.first + AT, NO_TRANSLATION | STORE)
    });
    // One place is enough.
    let mut filled = filled.into_iter().filter(|&place| place != 0);
    filled.next().map_or(Ok(()), |place| remove(place).map(drop))?;
    let again = area.is_itself();
    filled.try_for_each(|place| remove(place).map(drop))?;
    verdict.and(again)
}

fn own(machine: &Machine) -> Verdict {
    let area = Area::new(machine)?;
    for _ in 0..20 {
        let place = area.lead_to(area.second, COHERENT)?;
        match guarded(op_ld, area.first + AT) {
            Ok(2) => {}
            other => fail!("found {:x?}", other.ok()),
        }
        if guarded(op_std, area.first + AT).is_err() {
            fail!("no store");
        }
        if memory::read(area.second + AT) != area.first + AT {
            fail!("the store is not where the entry leads");
        }
        memory::write(area.second + AT, 2);
        remove(place)?;
        area.is_itself()?;
        area.forget()?;
    }
    Ok(())
}

/// As for any other page.
fn protected(machine: &Machine) -> Verdict {
    let area = Area::new(machine)?;
    fetch::write_code(area.first, SYSTEM_CALLS, SYSTEM_CALLS);
    area.forget()?;
    let place = area.lead_to(area.first, COHERENT)?;
    for _ in 0..20 {
        protect(place, 3)?;
        area.is_itself()?;
        refused(op_std, area.first + AT, PROTECTION | STORE)?;
        protect(place, 0x100)?;
        refused(op_ld, area.first + AT, PROTECTION)?;
        protect(place, NO_EXECUTE)?;
        match guarded(op_jump, area.first) {
            Err(trap)
                if (trap.vector, trap.nip, trap.msr & super::CAUSES)
                    == (vector::INSTRUCTION_STORAGE, area.first, NO_EXECUTION) => {}
            Err(trap) => fail!("fetch: {}", describe(&trap)),
            Ok(_) => fail!("came back"),
        }
    }
    remove(place)?;
    area.is_itself()
}

fn device(machine: &Machine) -> Verdict {
    let area = Area::new(machine)?;
    let place = area.lead_to(machine.end, INHIBITED | GUARDED)?;
    refused(op_ld, area.first + AT, NO_TRANSLATION)?;
    refused(op_std, area.first + AT, NO_TRANSLATION | STORE)?;
    remove(place)?;
    area.is_itself()
}

/// Whether real mode ends after its TiB or repeats itself is the machine's affair. It leads to the guest's own memory, or nowhere.
fn every_tib(machine: &Machine) -> Verdict {
    let area = Area::new(machine)?;
    for at in [1, 2, 0x1000, 0x7_ffff, 0xff_ffff].map(|high| high << 40 | (area.first + AT)) {
        memory::write(area.first + AT, 1);
        match guarded(op_ld, at) {
            Ok(1) => {}
            other => is_none(other, at)?,
        }
        match guarded(op_std, at) {
            Ok(_) if memory::read(area.first + AT) == at => {}
            other => is_none(other, at)?,
        }
    }
    Ok(())
}

/// Real mode's virtual addresses are as good as others: a segment may lead there. Pages of another size than real mode has are pages as well; those that the guest may not have are none.
fn translated(machine: &Machine) -> Verdict {
    let area = Area::new(machine)?;
    let word = slb::TERA | area.page.vsid << 24;
    let (small, medium) = (word, word | slb::MEDIUM);
    let own = if base(machine) == 16 { medium } else { small };
    for word in [own, small] {
        slb::clear();
        slb::set(3, SEGMENT, word);
        memory::write(area.first + AT, 1);
        loads(SEGMENT + area.first + AT, 1)?;
        stores(SEGMENT + area.first + AT, area.first + AT)?;
        is_nowhere(SEGMENT + machine.end)?;
        is_nowhere(SEGMENT + (1 << 40) - 8)?;
    }
    slb::clear();
    slb::set(3, SEGMENT, word | slb::LARGE);
    is_nowhere(SEGMENT + area.first + AT)?;
    slb::clear();
    memory::write(area.first + AT, 1);
    area.is_itself()
}

/// Everything that there is, four entries at a time, the guest's own code and stack among it.
fn emptied(machine: &Machine) -> Verdict {
    let area = Area::new(machine)?;
    hpt::remove_all()?;
    area.is_itself()?;
    // One by one, those that were needed meanwhile.
    for place in 0..entries() / 16 {
        match call(hcall::REMOVE, &[0, place, 0]).code {
            SUCCESS | NOT_FOUND => {}
            code => fail!("{place:#x} answered {code}"),
        }
    }
    area.is_itself()?;
    unharmed(machine)
}
