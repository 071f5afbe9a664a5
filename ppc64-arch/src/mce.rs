//! What a machine check says: SRR1, DSISR and DAR told apart.
//!
//! | SRR1 | where the cause is |
//! | --- | --- |
//! | bit 42 clear | SRR1 itself, bits 36 and 43 to 45: a fetch, at SRR0 |
//! | bit 42 set | DSISR, one bit each: a load or store, at DAR |
//! | bit 42 set, and a cause of a store that was already complete | SRR1 after all: asynchronous, at no address |
//!
//! The architecture leaves these bits to the design, whose User's Manual has a chapter on machine checks. The tables state what Linux (`arch/powerpc/kernel/mce_power.c`) and skiboot take from it for POWER9 and POWER10;
//! they were not compared with the manuals themselves. POWER11 has POWER10's.

use crate::bits::{bit, mask};
use crate::pvr::Cpu;
use crate::trap::{Msr, Srr1};
use core::fmt;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Memory that cannot be corrected.
    Memory,
    /// A broken or doubled segment entry.
    Slb,
    /// A doubled entry of the effective-to-real cache.
    Erat,
    /// A doubled translation.
    Tlb,
    /// A real address where nothing is.
    RealAddress,
    /// A real address that is not for this kind of access: another machine's memory (POWER9), or control registers (POWER10).
    Foreign,
    /// A link to memory that does not answer.
    Link,
    /// A `tlbie` or `tlbiel` whose operands are none.
    Operands,
    /// Nothing at all: the processor says it again if there is something.
    Nothing,
    /// None that the manual lists.
    Unknown,
}

/// What the processor was at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Fetching an instruction.
    Fetch,
    /// A load or store.
    Access,
    /// Reading a table for a fetch.
    FetchWalk,
    /// Reading a table for a load or store.
    AccessWalk,
    /// A store that was complete as far as the program knew.
    LateStore,
}

/// What can be done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// Going on, once the translation caches of this CPU are emptied.
    Recoverable,
    /// The instruction at hand failed, and nothing else: it is for whoever runs it.
    Synchronous,
    /// Nobody can tell what is broken.
    #[default]
    Fatal,
}

/// A machine check, told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineCheck {
    /// What went wrong.
    pub error: Error,
    /// At what.
    pub doing: Doing,
    /// The effective address that it is about, where that is known.
    pub address: Option<u64>,
}

/// SRR1: the cause is in DSISR.
const BY_ACCESS: u64 = bit(42);
/// SRR1: the cause of all others.
const FETCH_CAUSE: u64 = bit(36) | mask(43, 45);

/// Whether a table's row holds for POWER9 or for its successors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Both,
    Power9,
}

/// A fetch's cause: the value of [`FETCH_CAUSE`].
type FetchRow = (u64, Error, Doing, Of);
/// A load's or store's: the bit in DSISR, and whether DAR is the address.
type AccessRow = (u32, Error, Doing, bool, Of);

const FETCH: [FetchRow; 12] = [
    (0x0004_0000, Error::Memory, Doing::Fetch, Of::Both),
    (0x0008_0000, Error::Slb, Doing::Fetch, Of::Both),
    (0x000c_0000, Error::Slb, Doing::Fetch, Of::Both),
    (0x0010_0000, Error::Erat, Doing::Fetch, Of::Both),
    (0x0014_0000, Error::Tlb, Doing::Fetch, Of::Both),
    (0x0018_0000, Error::Memory, Doing::FetchWalk, Of::Both),
    (0x001c_0000, Error::Foreign, Doing::Fetch, Of::Both),
    (0x0800_0000, Error::Link, Doing::Fetch, Of::Power9),
    (0x0804_0000, Error::Link, Doing::FetchWalk, Of::Power9),
    (0x080c_0000, Error::RealAddress, Doing::Fetch, Of::Both),
    (0x0810_0000, Error::RealAddress, Doing::FetchWalk, Of::Both),
    (0x081c_0000, Error::Foreign, Doing::FetchWalk, Of::Both),
];

/// Causes of stores that were complete.
const LATE: [FetchRow; 2] = [
    (0x0814_0000, Error::RealAddress, Doing::LateStore, Of::Both),
    (0x0818_0000, Error::Link, Doing::LateStore, Of::Power9),
];

/// What is worst stands first: more than one bit may be set.
const ACCESS: [AccessRow; 13] = [
    (0x8000, Error::Memory, Doing::Access, false, Of::Both),
    (0x4000, Error::Memory, Doing::AccessWalk, true, Of::Both),
    (0x2000, Error::Link, Doing::Access, true, Of::Power9),
    (0x1000, Error::Link, Doing::AccessWalk, true, Of::Power9),
    (0x0040, Error::RealAddress, Doing::Access, true, Of::Both),
    (0x0020, Error::RealAddress, Doing::AccessWalk, false, Of::Both),
    (0x0010, Error::Foreign, Doing::AccessWalk, false, Of::Both),
    (0x0008, Error::Foreign, Doing::Access, false, Of::Both),
    (0x0200, Error::Operands, Doing::Access, false, Of::Both),
    (0x0800, Error::Erat, Doing::Access, true, Of::Both),
    (0x0400, Error::Tlb, Doing::Access, true, Of::Both),
    (0x0080, Error::Slb, Doing::Access, true, Of::Both),
    (0x0100, Error::Slb, Doing::Access, true, Of::Both),
];

/// POWER9 before DD 2.2: a `paste` may cause a machine check with this bit alone, and nothing is wrong.
const SUPERFLUOUS: u32 = 0x0200_0000;

impl MachineCheck {
    /// Tells a machine check of a processor of design `cpu` apart. `nip` is SRR0.
    #[must_use]
    pub fn of(cpu: Cpu, nip: u64, srr1: u64, dsisr: u32, dar: u64) -> Self {
        if let Some(late) = fetch_row(&LATE, cpu, srr1) {
            return late;
        }
        if srr1 & BY_ACCESS != 0 {
            return Self::by_access(cpu, dsisr, dar);
        }
        let found = fetch_row(&FETCH, cpu, srr1);
        Self { address: Some(nip), ..found.unwrap_or(Self::unknown(Doing::Fetch)) }
    }

    fn by_access(cpu: Cpu, dsisr: u32, dar: u64) -> Self {
        if cpu == Cpu::Power9 && dsisr == SUPERFLUOUS {
            return Self { error: Error::Nothing, doing: Doing::Access, address: None };
        }
        let row = ACCESS.iter().find(|&&(bit, .., of)| dsisr & bit != 0 && of.holds(cpu));
        row.map_or(Self::unknown(Doing::Access), |&(_, error, doing, at_dar, _)| Self {
            error,
            doing,
            address: at_dar.then_some(dar),
        })
    }

    const fn unknown(doing: Doing) -> Self {
        Self { error: Error::Unknown, doing, address: None }
    }

    /// What can be done about it.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match (self.doing, self.error) {
            (Doing::LateStore, _) | (_, Error::Unknown) => Severity::Fatal,
            (_, Error::Erat | Error::Tlb | Error::Slb | Error::Nothing) => Severity::Recoverable,
            _ => Severity::Synchronous,
        }
    }
}

impl Of {
    fn holds(self, cpu: Cpu) -> bool {
        self == Self::Both || cpu == Cpu::Power9
    }
}

fn fetch_row(table: &[FetchRow], cpu: Cpu, srr1: u64) -> Option<MachineCheck> {
    let row = table.iter().find(|&&(value, .., of)| srr1 & FETCH_CAUSE == value && of.holds(cpu));
    row.map(|&(_, error, doing, _)| MachineCheck { error, doing, address: None })
}

/// Whether what was interrupted can go on: SRR0 and SRR1, which the interrupt took, were not in use (MSR\[RI\]).
#[must_use]
pub const fn can_go_on(srr1: u64) -> bool {
    Srr1::from_bits_retain(srr1).msr().contains(Msr::RI)
}

impl fmt::Display for MachineCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.error {
            Error::Memory => "uncorrectable memory",
            Error::Slb => "segment entry broken or there twice",
            Error::Erat => "effective-to-real entry there twice",
            Error::Tlb => "translation there twice",
            Error::RealAddress => "no such real address",
            Error::Foreign => "real address not for this access",
            Error::Link => "link to memory timed out",
            Error::Operands => "tlbie with operands that are none",
            Error::Nothing => "superfluous",
            Error::Unknown => "unknown cause",
        })?;
        f.write_str(match self.doing {
            Doing::Fetch => ", at a fetch",
            Doing::Access => ", at a load or store",
            Doing::FetchWalk => ", at a table read for a fetch",
            Doing::AccessWalk => ", at a table read for a load or store",
            Doing::LateStore => ", at a store some time ago",
        })?;
        self.address.map_or(Ok(()), |at| write!(f, ", address {at:#x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(cpu: Cpu, dsisr: u32) -> MachineCheck {
        MachineCheck::of(cpu, 0x100, BY_ACCESS | Msr::RI.bits(), dsisr, 0xc000_0000_0000_1234)
    }

    fn fetch(cpu: Cpu, cause: u64) -> MachineCheck {
        MachineCheck::of(cpu, 0x100, cause, u32::MAX, 0xdead)
    }

    #[test]
    fn a_bad_word_of_memory_is_the_business_of_whoever_touched_it() {
        let found = data(Cpu::Power10, 0x8000);
        assert_eq!((found.error, found.address), (Error::Memory, None));
        assert_eq!(found.severity(), Severity::Synchronous);
        let walk = data(Cpu::Power9, 0x4000);
        assert_eq!((walk.doing, walk.address), (Doing::AccessWalk, Some(0xc000_0000_0000_1234)));
        let fetched = fetch(Cpu::Power9, 0x4_0000);
        assert_eq!((fetched.error, fetched.address), (Error::Memory, Some(0x100)));
    }

    #[test]
    fn doubled_translations_are_recovered_on_both_sides() {
        for dsisr in [0x800, 0x400, 0x80, 0x100] {
            assert_eq!(data(Cpu::Power10, dsisr).severity(), Severity::Recoverable, "{dsisr:#x}");
        }
        for cause in [0x8_0000, 0xc_0000, 0x10_0000, 0x14_0000] {
            assert_eq!(fetch(Cpu::Power9, cause).severity(), Severity::Recoverable, "{cause:#x}");
        }
    }

    #[test]
    fn of_two_causes_the_worse_one_counts() {
        assert_eq!(data(Cpu::Power10, 0x8400).error, Error::Memory);
        assert_eq!(data(Cpu::Power10, 0x0440).error, Error::RealAddress);
    }

    #[test]
    fn a_late_store_is_fatal_though_srr1_points_at_dsisr() {
        let late = MachineCheck::of(Cpu::Power10, 0, BY_ACCESS | 0x0814_0000, 0x400, 0);
        assert_eq!((late.doing, late.severity()), (Doing::LateStore, Severity::Fatal));
        let link = |cpu| MachineCheck::of(cpu, 0, BY_ACCESS | 0x0818_0000, 0x400, 0).severity();
        assert_eq!((link(Cpu::Power9), link(Cpu::Power11)), (Severity::Fatal, Severity::Recoverable));
    }

    #[test]
    fn what_the_manual_does_not_list_is_fatal() {
        assert_eq!(data(Cpu::Power10, 0).severity(), Severity::Fatal);
        assert_eq!(data(Cpu::Power10, 0x2000).severity(), Severity::Fatal);
        assert_eq!(fetch(Cpu::Power10, 0x0800_0000).severity(), Severity::Fatal);
        assert_eq!(fetch(Cpu::Power10, 0).severity(), Severity::Fatal);
    }

    #[test]
    fn a_paste_of_an_early_power9_may_cry_wolf() {
        assert_eq!(data(Cpu::Power9, SUPERFLUOUS).severity(), Severity::Recoverable);
        assert_eq!(data(Cpu::Power10, SUPERFLUOUS).severity(), Severity::Fatal);
    }

    #[test]
    fn every_row_is_found_by_its_own_value() {
        for (value, error, doing, _) in FETCH {
            let found = fetch(Cpu::Power9, value);
            assert_eq!((found.error, found.doing), (error, doing));
        }
        for (bit, error, doing, ..) in ACCESS {
            let found = data(Cpu::Power9, bit);
            assert_eq!((found.error, found.doing), (error, doing));
        }
    }

    #[test]
    fn it_is_told_in_words() {
        let said = data(Cpu::Power10, 0x400).to_string();
        assert_eq!(said, "translation there twice, at a load or store, address 0xc000000000001234");
    }

    #[test]
    fn nothing_goes_on_whose_srr0_was_in_use() {
        assert!(can_go_on(Msr::RI.bits()) && !can_go_on(BY_ACCESS));
    }
}
