//! Where the image lies, the CPUs' stacks, and the two conversions between addresses and indices that a 64-bit machine needs.
//!
//! Each CPU has a region of its own for its stacks, so that whoever has a stack pointer knows which CPU it is, in whatever state its registers are ([`cpu`]):
//!
//! ```text
//!   │ guard │ for interrupts: EMERGENCY │ guard │ everything else                        │
//!                                      ▲ top                                             ▲ top
//! ```
//!
//! The boot CPU's region, which is the first, is twice as long as the others: it reads device trees and plans guests.
//!
//! An interrupt never runs on the stack that it interrupts. Behind the last region stands one more stack for interrupts: one that meets a CPU whose stack pointer is none of
//! ours takes that. Two of them at the same time would share it; they are lost either way.

use crate::cpus::CPUS;
use core::ops::Range;

unsafe extern "C" {
    static __stack_bottom: u8;
    static __stack_end: u8;
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

/// Regions of stacks: one for each CPU, and a second one for the boot CPU.
pub const REGIONS: usize = CPUS + 1;
/// Bytes from one further CPU's stacks to the next one's; a power of two.
pub const REGION: usize = 1 << REGION_SHIFT;
/// Its logarithm.
pub const REGION_SHIFT: usize = 17;
/// How much of them is for interrupts.
pub const EMERGENCY: usize = 0x4000;

/// All stacks.
#[must_use]
pub fn stacks() -> Range<u64> {
    address(&raw const __stack_bottom)..address(&raw const __stack_end)
}

/// The CPU that runs this: 0 is the one that we were started on. [`CPUS`] for an interrupt that met no stack of ours.
#[must_use]
pub fn cpu() -> usize {
    let region = index(stack_pointer().wrapping_sub(stacks().start)) >> REGION_SHIFT;
    region.saturating_sub(1).min(CPUS)
}

/// This function's stack pointer.
#[must_use]
#[inline]
pub fn stack_pointer() -> u64 {
    let r1: u64;
    // SAFETY: 1. copies a register, nothing else.
    unsafe { core::arch::asm!("mr {}, 1", out(reg) r1, options(nomem, nostack, preserves_flags)) }
    r1
}

/// The address behind a CPU's stack.
#[must_use]
pub fn stack_top(cpu: usize) -> u64 {
    stacks().start + ((cpu + 2) * REGION) as u64
}

/// Writes the guard words; once, before anything deep is called.
pub fn arm_stack_guards() {
    for guard in guards() {
        // SAFETY: 1. the lowest doubleword of a stack, which nothing else uses; 2. aligned to 128 there.
        unsafe { guard.write_volatile(GUARD) }
    }
}

/// Whether no stack has grown over its end. Checked where a run leaves the fast path.
#[must_use]
pub fn stacks_are_sound() -> bool {
    // SAFETY: 1. as above; 2. only read.
    guards().all(|guard| unsafe { guard.read_volatile() } == GUARD)
}

/// Where the guard words stand.
fn guards() -> impl Iterator<Item = *mut u64> {
    let bottom: *mut u8 = (&raw const __stack_bottom).cast_mut();
    let both = |region| [region * REGION, region * REGION + EMERGENCY];
    let all = (0..REGIONS).filter(|region| *region != 1).flat_map(both).chain([REGIONS * REGION]);
    all.map(move |at| bottom.wrapping_add(at).cast())
}
