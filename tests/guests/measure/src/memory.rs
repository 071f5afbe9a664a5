//! Memory as numbers: what is touched is guest real addresses, not Rust objects.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// The smallest unit in which anything is mapped.
pub const PAGE: u64 = 4096;

unsafe extern "C" {
    static __image_end: u8;
    static image_pages: u8;
    static image_pages_end: u8;
}

/// First address after the image with its stacks.
pub fn image_end() -> u64 {
    (&raw const __image_end).addr() as u64
}

/// The pages of the image that nothing else uses: the first, and how many.
pub fn image() -> (u64, u64) {
    let (from, to) = ((&raw const image_pages).addr() as u64, (&raw const image_pages_end).addr() as u64);
    (from, (to - from) / PAGE)
}

/// Reads a doubleword of guest memory, aligned.
pub fn read(address: u64) -> u64 {
    // SAFETY: 1. The whole of guest memory is readable in real mode, and `address` is in it.
    //         2. Volatile: another party, the hypervisor, may have written it.
    unsafe { with_exposed_provenance::<u64>(place(address)).read_volatile() }
}

/// Writes a doubleword of guest memory, aligned.
pub fn write(address: u64, value: u64) {
    assert!(address >= image_end(), "write into the image");
    // SAFETY: 1. As for reading. 2. No Rust object lives outside the image.
    unsafe { with_exposed_provenance_mut::<u64>(place(address)).write_volatile(value) }
}

fn place(address: u64) -> usize {
    usize::try_from(address).unwrap_or(usize::MAX)
}
