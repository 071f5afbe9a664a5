//! The partition table entry of a hash partition (Power ISA 3.1B Book III 6.7.6.1): HR=0, the table's place and size, and the page size of the virtual real mode area.
//!
//! Doubleword 1 is 0: process and segment tables (UPRT=1) are not for our guests, which fill their SLBs themselves.

use super::pages::PageSize;
use super::table::Shape;
use crate::addr::HostReal;
use crate::bits::{mask, shift};

const TABLE: u64 = mask(4, 45);
/// PS: L and LP of the area's segment, side by side.
const PAGE_SIZE_SHIFT: usize = shift(58);

/// The part of doubleword 0 that says what pages real mode has.
#[must_use]
pub const fn real_mode(size: PageSize) -> u64 {
    let segment = size.segment_encoding();
    ((segment >> 8 & 1) << 2 | segment >> 4 & 3) << PAGE_SIZE_SHIFT
}

/// Doubleword 0: partition-scoped translation by the table of `shape` at `table`, real mode by pages of `size`. Bits of `table` below 256 KiB are dropped, as processors do.
#[must_use]
pub const fn partition_scoped(table: HostReal, shape: Shape, size: PageSize) -> u64 {
    table.raw() & TABLE | real_mode(size) | shape.order().saturating_sub(Shape::SMALLEST) as u64
}

/// Doubleword 1.
pub const PROCESS_SCOPED: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doubleword_is_the_one_that_hardware_was_seen_to_take() {
        let shape = Shape::new(24).expect("a table");
        let word = |size| partition_scoped(HostReal::new(0x1234_0000), shape, size);
        assert_eq!(word(PageSize::Size4K), 0x1234_0000 | 6);
        assert_eq!(word(PageSize::Size64K), 0x1234_0000 | 5 << 5 | 6);
        assert_eq!(word(PageSize::Size16M), 0x1234_0000 | 4 << 5 | 6);
    }

    #[test]
    fn nothing_but_its_own_field_is_touched_by_any_address() {
        let smallest = Shape::new(18).expect("a table");
        for bit in 0..64 {
            let word = partition_scoped(HostReal::new(1 << bit), smallest, PageSize::Size4K);
            assert_eq!(word, if (18..60).contains(&bit) { 1 << bit } else { 0 });
        }
    }
}
