//! The partition table: two big-endian doublewords a partition, indexed by LPID (Power ISA 3.1B Book III 6.7.6.1). The hardware reads it, or the hypervisor below.

use core::sync::atomic::{AtomicU64, Ordering};
use ppc64_arch::cpu::ptesync;

/// Entries: the most that QEMU's L0 takes (64 KiB, naturally aligned).
pub const ENTRIES: usize = 4096;
/// log2 of the table's size in units of 4 KiB, the low field of the PTCR (Power ISA 3.1B Book III 6.7.6.1).
const TABLE_SIZE: u64 = 4;

#[repr(C, align(65536))]
struct PartitionTable([[AtomicU64; 2]; ENTRIES]);

static PARTITIONS: PartitionTable = PartitionTable([const { [const { AtomicU64::new(0) }; 2] }; ENTRIES]);

/// The value of the PTCR that names the table.
#[must_use]
pub fn register() -> u64 {
    (&raw const PARTITIONS).addr() as u64 | TABLE_SIZE
}

/// How a partition's addresses are translated, as doubleword 0 of its entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such partition.
    None,
    /// HR=1.
    Radix,
    /// HR=0.
    Hash,
}

impl Kind {
    /// What doubleword 0 says: a table of either kind stands elsewhere than at 0.
    #[must_use]
    pub const fn of(scoped: u64) -> Self {
        const RADIX: u64 = ppc64_arch::bits::bit(0);
        match scoped {
            0 => Self::None,
            _ if scoped & RADIX != 0 => Self::Radix,
            _ => Self::Hash,
        }
    }
}

/// What partition `lpid`'s entry says.
#[must_use]
pub fn kind(lpid: u32) -> Kind {
    // Relaxed: who asks is about to run the partition, whose entry was written before.
    let scoped = PARTITIONS.0.get(lpid as usize).map(|[first, _]| u64::from_be(first.load(Ordering::Relaxed)));
    Kind::of(scoped.unwrap_or(0))
}

/// Writes partition `lpid`'s entry, and says what it was; a flush of the partition, of that kind and of the present one, has to follow. `None`, and nothing written, if the table has no room for it.
#[must_use]
pub fn write(lpid: u32, scoped: u64, process: u64) -> Option<Kind> {
    let [first, second] = PARTITIONS.0.get(lpid as usize)?;
    let before = kind(lpid);
    // Relaxed: ptesync below orders the stores before anything that reads the table.
    second.store(process.to_be(), Ordering::Relaxed);
    first.store(scoped.to_be(), Ordering::Relaxed);
    ptesync();
    Some(before)
}
