//! Memory as numbers: the tests speak of guest real addresses, not of Rust objects.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// The smallest unit in which anything is mapped.
pub const PAGE: u64 = 4096;

unsafe extern "C" {
    static __constant_end: u8;
    static __image_end: u8;
}

/// First address after code and constants.
pub fn constant_end() -> u64 {
    (&raw const __constant_end).addr() as u64
}

/// First address after the image with its stacks.
pub fn image_end() -> u64 {
    (&raw const __image_end).addr() as u64
}

/// Reads a doubleword. The address is one of guest memory and aligned; anything else is for `trap::guarded`.
pub fn read(address: u64) -> u64 {
    // SAFETY: 1. The whole of guest memory is readable in real mode, and `address` is in it.
    //         2. Volatile: another party, the hypervisor, may have written it.
    unsafe { with_exposed_provenance::<u64>(place(address)).read_volatile() }
}

/// Writes a doubleword.
pub fn write(address: u64, value: u64) {
    assert!(address >= image_end() || is_victim(address), "write into the image");
    // SAFETY: 1. As for reading. 2. No Rust object lives outside the image, and the victim page is never used as one.
    unsafe { with_exposed_provenance_mut::<u64>(place(address)).write_volatile(value) }
}

/// Fills a range of doublewords with a pattern that depends on the address.
pub fn mark(start: u64, length: u64) {
    words(start, length).for_each(|address| write(address, canary(address)));
}

/// The first doubleword of a marked range that is not as it was.
pub fn damage(start: u64, length: u64) -> Option<u64> {
    words(start, length).find(|&address| read(address) != canary(address))
}

/// Clears a range.
pub fn clear(start: u64, length: u64) {
    words(start, length).for_each(|address| write(address, 0));
}

/// A sum over code and constants: it changes when any bit of them does.
pub fn image_sum() -> u64 {
    words(0, constant_end()).fold(0, |sum, address| sum.rotate_left(5) ^ read(address))
}

/// Makes table entries visible to the CPU's table walk.
pub fn sync() {
    // SAFETY: 1. A barrier only.
    unsafe { core::arch::asm!("ptesync", "isync", options(nostack)) }
}

fn words(start: u64, length: u64) -> impl Iterator<Item = u64> {
    (start..start + length).step_by(8)
}

fn canary(address: u64) -> u64 {
    address.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xc0de_cafe_d00d_f00d
}

fn place(address: u64) -> usize {
    usize::try_from(address).unwrap_or(usize::MAX)
}

/// Three pages of the image that nothing else uses: a write to the middle one must leave the others as they were loaded.
#[repr(C, align(4096))]
pub struct Victim([[u64; 512]; 3]);

/// In `.data`, so that it comes with the image.
#[unsafe(link_section = ".data.victim")]
static mut VICTIM: Victim = Victim([[VICTIM_WORD; 512]; 3]);

/// What every doubleword of the victim pages is when the image is loaded.
pub const VICTIM_WORD: u64 = 0x6e6f_7420_7965_7421;

/// Where the three pages begin.
pub fn victim() -> u64 {
    (&raw mut VICTIM).expose_provenance() as u64
}

fn is_victim(address: u64) -> bool {
    (victim()..victim() + 3 * PAGE).contains(&address)
}
