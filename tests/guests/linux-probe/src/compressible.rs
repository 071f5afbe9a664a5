//! Data that compresses about five to one, page by page.
//!
//! ```text
//!   page of 4 KiB | noise | the same | the same | … |
//! ```
//!
//! The noise follows from the page's number and the pass, so no two pages hold the same and no pass repeats another. Its length is what LZ4
//! cannot take out.

/// Doublewords of a page.
pub const PAGE: u64 = 512;
/// Doublewords of it that are noise: 688 bytes, which with what LZ4 adds fill three of the hypervisor's fragments of 256, a fifth of a frame.
pub const NOISE: u64 = 86;

/// The doubleword at `index` of the whole, in pass number `pass`.
#[must_use]
pub fn word(index: u64, pass: u64) -> u64 {
    let (page, place) = (index / PAGE, index % PAGE % NOISE);
    mixed(page << 20 | place << 8 | pass & 0xff)
}

/// Steele and others' SplitMix64 output function: every bit of the input decides about every bit of the output.
#[must_use]
pub const fn mixed(seed: u64) -> u64 {
    let x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
