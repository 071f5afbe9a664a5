//! The manuals number bits from the left: bit 0 is the most significant one of a doubleword. These functions turn
//! such a number into a value or a shift, so that a source line shows the number that the manual prints.

/// The doubleword in which only bit `n` is set, counted as the manual does (0 is the most significant).
#[must_use]
pub const fn bit(n: u32) -> u64 {
    assert!(n < 64);
    1 << (63 - n)
}

/// The left shift of a field whose last (least significant) bit is bit `last` in the manual's numbering.
#[must_use]
pub const fn shift(last: u32) -> usize {
    assert!(last < 64);
    (63 - last) as usize
}

/// The doubleword in which bits `first..=last` are set, counted as the manual does.
#[must_use]
pub const fn mask(first: u32, last: u32) -> u64 {
    assert!(first <= last && last < 64);
    (u64::MAX >> first) & (u64::MAX << (63 - last))
}

const _: () = assert!(bit(0) == 1 << 63 && bit(63) == 1);
const _: () = assert!(mask(0, 63) == u64::MAX && mask(59, 63) == 0x1f);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_the_sum_of_its_bits() {
        for first in 0..64 {
            for last in first..64 {
                let sum = (first..=last).fold(0, |acc, n| acc | bit(n));
                assert_eq!(mask(first, last), sum);
                assert_eq!(mask(first, last) >> shift(last), u64::MAX >> (63 - (last - first)));
            }
        }
    }
}
