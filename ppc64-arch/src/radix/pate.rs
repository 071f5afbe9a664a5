//! The partition table entry of a radix partition (Power ISA 3.1B Book III 6.7.6.1): two big-endian doublewords.
//!
//! Doubleword 0 points at the partition-scoped tree, doubleword 1 at the guest's process table. The table that holds these
//! entries is indexed by LPID.

use crate::addr::{GuestReal, HostReal};
use crate::bits::{bit, mask};
use crate::radix::geometry::Level;

const HOST_RADIX: u64 = bit(0);
const ROOT_ADDRESS: u64 = mask(8, 55);
const ROOT_SIZE: u64 = mask(59, 63);
const PROCESS_TABLE: u64 = mask(4, 51);
const PROCESS_TABLE_SIZE: u64 = mask(59, 63);
/// Radix tree size, split: bits 1:2 hold its high part, 56:58 the low one. It is the address size less 31.
const RTS_HIGH_SHIFT: u32 = 61;
const RTS_LOW_SHIFT: u32 = 5;

/// Doubleword 0: partition-scoped translation by a radix tree rooted at `root`. Trees of fewer than 31 bits, which only
/// models have, say 31.
#[must_use]
pub const fn partition_scoped(root: HostReal, level: &Level) -> u64 {
    let rts = level.address_bits().saturating_sub(31) as u64;
    HOST_RADIX
        | (rts >> 3) << RTS_HIGH_SHIFT
        | (rts & 7) << RTS_LOW_SHIFT
        | (root.raw() & ROOT_ADDRESS)
        | (level.bits as u64 & ROOT_SIZE)
}

/// Doubleword 1: the process table at `base`, of `1 << (12 + size)` bytes. Reserved bits of either are dropped.
#[must_use]
pub const fn process_scoped(base: GuestReal, size: u64) -> u64 {
    HOST_RADIX | (base.raw() & PROCESS_TABLE) | (size & PROCESS_TABLE_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radix::geometry::ROOT;

    #[test]
    fn a_52_bit_tree_has_the_doubleword_that_hardware_was_seen_to_take() {
        let dw0 = partition_scoped(HostReal::new(0x4_0000), &ROOT);
        assert_eq!(dw0, 1 << 63 | 2 << 61 | 5 << 5 | 0x4_0000 | 13);
    }

    #[test]
    fn a_process_table_keeps_its_base_and_size() {
        let dw1 = process_scoped(GuestReal::new(0x3e00_0000), 0xc);
        assert_eq!(dw1, 1 << 63 | 0x3e00_0000 | 0xc);
    }
}
