//! Whole-line work: zeroing with `dcbz`, copying, and making freshly written instructions fetchable.

use core::arch::asm;

/// Bytes in a cache line of every POWER processor since POWER4 (`d-cache-block-size` in the device tree; checked at boot).
pub const CACHE_LINE: u64 = 128;

/// Fills memory with zeros, a line at a time (`dcbz`, Power ISA 3.1B Book II 4.3.2).
///
/// # Safety
/// `at..at+bytes` must be memory that nothing else refers to at the moment, and both must be multiples of [`CACHE_LINE`]: `dcbz` clears
/// the whole line that an address lies in.
#[inline]
pub unsafe fn zero(at: *mut u8, bytes: u64) {
    debug_assert!((at.addr() as u64).is_multiple_of(CACHE_LINE) && bytes.is_multiple_of(CACHE_LINE));
    let mut line = at;
    for _ in 0..bytes / CACHE_LINE {
        // SAFETY: 1. the line lies wholly inside the caller's range, by alignment; 2. dcbz writes nothing else.
        unsafe { asm!("dcbz 0, {}", in(reg) line, options(nostack, preserves_flags)) }
        line = line.wrapping_add(CACHE_LINE as usize);
    }
}

/// Copies whole doublewords.
///
/// # Safety
/// Both ranges must be memory, not overlap, be aligned to 8, and `bytes` a multiple of 8; nothing else may refer to `to`, and nothing may write `from`.
#[inline]
pub unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: 1. the caller's ranges are valid and apart; 2. aligned to 8 by the caller.
    unsafe { core::ptr::copy_nonoverlapping(from.cast::<u64>(), to.cast::<u64>(), bytes / 8) }
}

/// Makes instructions in `at..at+bytes` that were written as data fit to be fetched: the lines are stored (`dcbst`), the stores awaited, the
/// instruction cache's copies dropped (`icbi`), and the fetch restarted (Power ISA 3.1B Book II 1.8 and 4.3).
#[inline]
pub fn sync_instructions(at: *const u8, bytes: u64) {
    for_each_line(at, bytes, |line| {
        // SAFETY: 1. dcbst changes no content; 2. the address is real memory of the caller's, and reading it is all that is asked.
        unsafe { asm!("dcbst 0, {}", in(reg) line, options(nostack, preserves_flags)) }
    });
    super::hwsync();
    for_each_line(at, bytes, |line| {
        // SAFETY: 1. icbi drops a copy, and never content.
        unsafe { asm!("icbi 0, {}", in(reg) line, options(nostack, preserves_flags)) }
    });
    super::hwsync();
    super::isync();
}

/// Calls `each` once for every line that `at..at+bytes` touches.
fn for_each_line(at: *const u8, bytes: u64, each: impl Fn(u64)) {
    if bytes == 0 {
        return;
    }
    let first = (at.addr() as u64) & !(CACHE_LINE - 1);
    let last = (at.addr() as u64).wrapping_add(bytes - 1) & !(CACHE_LINE - 1);
    let mut line = first;
    loop {
        each(line);
        if line == last {
            return;
        }
        line = line.wrapping_add(CACHE_LINE);
    }
}
