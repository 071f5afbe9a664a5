//! Where the image lies, and the two conversions between addresses and indices that a 64-bit machine needs.

use core::ops::Range;

unsafe extern "C" {
    static __stack_bottom: u8;
    static __emergency_bottom: u8;
    static __emergency_top: u8;
    static __image_end: u8;
    static __text_start: u8;
    static __file_end: u8;
}

/// Written into the lowest doubleword of each stack.
const GUARD: u64 = 0x5a4d_3157_5f47_5541;

const _: () = assert!(usize::BITS == 64);

/// An address or a size as an index. Nothing is lost: this crate is built for 64-bit machines only.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "usize has 64 bits, asserted above")]
pub const fn index(value: u64) -> usize {
    value as usize
}

/// The address of a symbol of the linker's.
fn address(symbol: *const u8) -> u64 {
    symbol.addr() as u64
}

/// Everything that the image occupies, stacks and zeroed data included.
#[must_use]
pub fn image() -> Range<u64> {
    0..address(&raw const __image_end)
}

/// Where the head of the image, with the vectors, belongs: address 0.
#[must_use]
pub fn head() -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(0)
}

/// Bytes of text and data.
#[must_use]
pub fn file_bytes() -> u64 {
    address(&raw const __file_end) - address(&raw const __text_start)
}

/// Both stacks.
#[must_use]
pub fn stacks() -> Range<u64> {
    address(&raw const __stack_bottom)..address(&raw const __emergency_top)
}

/// Writes the guard words; once, before anything deep is called.
pub fn arm_stack_guards() {
    for guard in guards() {
        // SAFETY: 1. the lowest doubleword of a stack, reserved for this by the linker script; 2. aligned to 128 there.
        unsafe { guard.write_volatile(GUARD) }
    }
}

/// Whether no stack has grown over its end. Checked where a run leaves the fast path.
#[must_use]
pub fn stacks_are_sound() -> bool {
    // SAFETY: 1. as above; 2. only read.
    guards().iter().all(|guard| unsafe { guard.read_volatile() } == GUARD)
}

/// Where the guard words stand.
fn guards() -> [*mut u64; 2] {
    [(&raw const __stack_bottom).cast_mut().cast(), (&raw const __emergency_bottom).cast_mut().cast()]
}
