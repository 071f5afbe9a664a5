//! What a guest with a hashed page table can try: it owns its view of a table that is the hypervisor's.
//!
//! | file | what |
//! | --- | --- |
//! | `enter` | H_ENTER: frames, sizes, attributes and places that are none |
//! | `entries` | the other calls about entries that are there, and that are not |
//! | `bulk` | H_BULK_REMOVE with rubbish in its list |
//! | `access` | loads, stores and fetches through entries, and through what was removed |
//! | `sizes` | pages of 64 KiB |
//! | `protection` | who may do what: PP, keys, N |
//! | `real` | real mode, whose entries stand in the same table |
//! | `segments` | `slbmte` of rubbish; segments that are not there |
//! | `flush` | `tlbie` and the like, which are not this guest's |
//! | `modes` | calls of another kind of guest, and those that change how it is translated |
//! | `resize` | tables of other sizes |
//! | `full` | a table with an entry in every place |
//! | `together`, `worker` | several vCPUs at one group, one table, one CPU |
//!
//! Each file has segments of its own (`VSID`), so that none finds what another one left.
//!
//! The guest runs in real mode. To use a segment it turns data translation on for one load or store, or goes on at a translated address.

mod access;
mod bulk;
mod enter;
mod entries;
mod flush;
mod full;
mod modes;
mod protection;
mod real;
mod resize;
mod segments;
mod sizes;
pub mod together;
mod worker;

use crate::hpt::{self, Virtual};
use crate::machine::Machine;
use crate::memory;
use crate::report::{Case, Report, Verdict, Why, fail};
use crate::trap::{Op, Trap, guarded, vector};

unsafe extern "C" {
    pub fn op_ld_mapped(address: u64) -> u64;
    pub fn op_std_mapped(address: u64) -> u64;
    fn op_fetch_mapped(address: u64) -> u64;
}

/// Runs all groups, of a guest that has such a table.
pub fn run(machine: &Machine, report: &mut Report) {
    let groups: [&[Case]; 12] = [
        enter::CASES,
        entries::CASES,
        bulk::CASES,
        access::CASES,
        sizes::CASES,
        protection::CASES,
        real::CASES,
        segments::CASES,
        flush::CASES,
        modes::CASES,
        resize::CASES,
        full::CASES,
    ];
    real::mark_bystanders(machine);
    groups.into_iter().flatten().for_each(|case| report.run(case, machine));
    report.run(&Case::new("memory that no entry named is as it was", real::unharmed), machine);
}

/// An effective address: segment number `n` of those that cases use.
pub const fn effective(n: u64) -> u64 {
    (0x1_0000 + n) << 28
}

/// Where in its segment the page of most cases begins.
const OFFSET: u64 = 0x12_3000;

/// A page in a segment from number `vsid` on, such that nobody has an entry in either of its groups.
fn lonely_page(vsid: u64) -> Result<Virtual, Why> {
    let mut pages = (vsid..vsid + 256).map(|vsid| Virtual::small(vsid, OFFSET));
    pages
        .find(|page| is_empty(page.primary()) && is_empty(page.secondary()))
        .ok_or_else(|| Why::new(format_args!("no group is empty")))
}

/// Nobody has an entry in this group.
fn is_empty(group: u64) -> bool {
    (group..group + hpt::GROUP).all(|place| hpt::read(place).is_ok_and(|[word0, _]| word0 == 0))
}

/// DSISR, and the same bits of SRR1 after a fetch: no translation, no execution, protection, a store, a class key.
const NO_TRANSLATION: u64 = 0x4000_0000;
const NO_EXECUTION: u64 = 0x1000_0000;
const PROTECTION: u64 = 0x0800_0000;
const STORE: u64 = 0x0200_0000;
const CLASS_KEY: u64 = 0x0020_0000;
const CAUSES: u64 = NO_TRANSLATION | NO_EXECUTION | PROTECTION | STORE | CLASS_KEY;

/// Bytes in front of the access in such an operation.
const MAPPED_ACCESS: u64 = 16;

/// The access comes to its end, with this result.
fn succeeds(op: Op, at: u64, value: u64) -> Verdict {
    match guarded(op, at) {
        Ok(found) if found == value => Ok(()),
        Ok(found) => fail!("{found:#x} at {at:#x}, not {value:#x}"),
        Err(trap) => fail!("access at {at:#x}: {}", describe(&trap)),
    }
}

/// A load through an entry finds this.
pub fn loads(at: u64, value: u64) -> Verdict {
    succeeds(op_ld_mapped, at, value)
}

/// A store through an entry of its own address arrives at this doubleword of memory.
fn stores(at: u64, place: u64) -> Verdict {
    succeeds(op_std_mapped, at, at)?;
    match memory::read(place) {
        found if found == at => Ok(()),
        found => fail!("the store to {at:#x} left {found:#x} at {place:#x}"),
    }
}

/// The access ends in a data storage interrupt with this cause.
fn refused(op: Op, at: u64, cause: u64) -> Verdict {
    match guarded(op, at) {
        Ok(value) => fail!("no interrupt at {at:#x}, result {value:#x}"),
        Err(trap) => match (trap.vector, trap.dar, trap.dsisr & CAUSES) {
            (vector::DATA_STORAGE, dar, found) if dar == at && found == cause && is_at(&trap, op) => Ok(()),
            _ => fail!("access at {at:#x}, cause {cause:#x}: {}", describe(&trap)),
        },
    }
}

/// Load and store find no translation.
fn is_nowhere(at: u64) -> Verdict {
    refused(op_ld_mapped, at, NO_TRANSLATION)?;
    refused(op_std_mapped, at, NO_TRANSLATION | STORE)
}

/// There is nothing for the access, whichever way the machine has to say so.
fn is_none(result: Result<u64, Trap>, at: u64) -> Verdict {
    match result {
        Err(trap) if [vector::DATA_STORAGE, vector::DATA_SEGMENT, vector::MACHINE_CHECK].contains(&trap.vector) => {
            Ok(())
        }
        Err(trap) => fail!("access at {at:#x}: {}", describe(&trap)),
        Ok(value) => fail!("{value:#x} at {at:#x}"),
    }
}

fn is_at(trap: &Trap, op: Op) -> bool {
    trap.nip == op as *const () as u64 + MAPPED_ACCESS
}

/// The system call that stands at `at` is executed there.
fn executes(at: u64) -> Verdict {
    match guarded(op_fetch_mapped, at) {
        Err(trap) if trap.vector == vector::SYSTEM_CALL && trap.nip == at + 4 => Ok(()),
        Err(trap) => fail!("fetch from {at:#x}: {}", describe(&trap)),
        Ok(_) => fail!("came back from {at:#x}"),
    }
}

/// The fetch ends in an instruction storage interrupt with this cause.
fn is_not_executed(at: u64, cause: u64) -> Verdict {
    match guarded(op_fetch_mapped, at) {
        Err(trap) if (trap.vector, trap.nip, trap.msr & CAUSES) == (vector::INSTRUCTION_STORAGE, at, cause) => Ok(()),
        Err(trap) => fail!("fetch from {at:#x}, cause {cause:#x}: {}", describe(&trap)),
        Ok(_) => fail!("came back from {at:#x}"),
    }
}

fn describe(trap: &Trap) -> Why {
    Why::new(format_args!(
        "vector {:#x} SRR0 {:#x} SRR1 {:#x} DAR {:#x} DSISR {:#x}",
        trap.vector, trap.nip, trap.msr, trap.dar, trap.dsisr
    ))
}
