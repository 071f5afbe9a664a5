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

/// Writes partition `lpid`'s entry; a flush of the partition has to follow. False, and nothing written, if the table has no room for it.
#[must_use]
pub fn write(lpid: u32, scoped: u64, process: u64) -> bool {
    let Some([first, second]) = PARTITIONS.0.get(lpid as usize) else { return false };
    // Relaxed: ptesync below orders the stores before anything that reads the table.
    second.store(process.to_be(), Ordering::Relaxed);
    first.store(scoped.to_be(), Ordering::Relaxed);
    ptesync();
    true
}
