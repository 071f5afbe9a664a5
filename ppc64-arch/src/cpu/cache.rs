//! Whole-line work: zeroing with `dcbz`, copying, and making freshly written instructions fetchable.

use core::arch::asm;

/// Bytes in a cache line of every POWER processor since POWER4 (`d-cache-block-size` in the device tree; checked at boot).
pub const CACHE_LINE: u64 = 128;

/// The same as a step of a pointer.
const LINE_STEP: usize = 128;
const _: () = assert!(LINE_STEP as u64 == CACHE_LINE);

/// Lines that one turn of [`zero`] clears.
const LINES: u64 = 8;

/// Fills memory with zeros, a line at a time (`dcbz`, Power ISA 3.1B Book II chapter 4): a page of 4 KiB in four turns of ten instructions.
///
/// # Safety
/// `at..at+bytes` must be memory that nothing else refers to at the moment, and both must be multiples of [`CACHE_LINE`]: `dcbz` clears
/// the whole line that an address lies in.
#[inline]
pub unsafe fn zero(at: *mut u8, bytes: u64) {
    debug_assert!((at.addr() as u64).is_multiple_of(CACHE_LINE) && bytes.is_multiple_of(CACHE_LINE));
    let turns = bytes / (LINES * CACHE_LINE);
    if turns > 0 {
        // SAFETY: 1. the loop clears exactly the first `turns` times eight lines, and `turns` is not 0; 2. dcbz writes nothing else.
        unsafe {
            asm!(
                "   mtctr {turns}",
                "2: dcbz 0, {line}",            // eight lines at a turn
                "   dcbz {b}, {line}",
                "   dcbz {c}, {line}",
                "   dcbz {d}, {line}",
                "   dcbz {e}, {line}",
                "   dcbz {f}, {line}",
                "   dcbz {g}, {line}",
                "   dcbz {h}, {line}",
                "   addi {line}, {line}, 1024",
                "   bdnz 2b",                   // until CTR is used up
                line = inout(reg_nonzero) at => _, turns = in(reg) turns,
                b = in(reg_nonzero) CACHE_LINE, c = in(reg_nonzero) 2 * CACHE_LINE, d = in(reg_nonzero) 3 * CACHE_LINE,
                e = in(reg_nonzero) 4 * CACHE_LINE, f = in(reg_nonzero) 5 * CACHE_LINE,
                g = in(reg_nonzero) 6 * CACHE_LINE, h = in(reg_nonzero) 7 * CACHE_LINE, out("ctr") _,
                options(nostack, preserves_flags)
            );
        }
    }
    let mut line = at.wrapping_add((turns * LINES * CACHE_LINE) as usize);
    for _ in 0..bytes / CACHE_LINE % LINES {
        // SAFETY: 1. the line lies wholly inside the caller's range, by alignment; 2. dcbz writes nothing else.
        unsafe { asm!("dcbz 0, {}", in(reg) line, options(nostack, preserves_flags)) }
        line = line.wrapping_add(LINE_STEP);
    }
}
const _: () = assert!(LINES * CACHE_LINE == 1024);

/// Copies `bytes` bytes, 32 at a turn and the rest singly.
///
/// # Safety
/// Both ranges must be memory and must not overlap; nothing else may refer to `to`, and nothing may write `from`, meanwhile.
#[inline]
pub unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    let whole = bytes & !31;
    if whole > 0 {
        // SAFETY: 1. the loop reads and writes exactly the first `whole` bytes, a multiple of 32 and not 0; 2. the caller vouches for both ranges.
        unsafe {
            asm!(
                "   mtctr {turns}",
                "2: ld {a}, 0({from})",         // four doublewords in,
                "   ld {b}, 8({from})",
                "   ld {c}, 16({from})",
                "   ld {d}, 24({from})",
                "   addi {from}, {from}, 32",
                "   std {a}, 0({to})",          // four out,
                "   std {b}, 8({to})",
                "   std {c}, 16({to})",
                "   std {d}, 24({to})",
                "   addi {to}, {to}, 32",
                "   bdnz 2b",                   // until CTR is used up
                a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
                from = inout(reg_nonzero) from => _, to = inout(reg_nonzero) to => _,
                turns = in(reg) whole / 32, out("ctr") _,
                options(nostack, preserves_flags)
            );
        }
    }
    for at in whole..bytes {
        // SAFETY: 1. `at` is below `bytes`, so both lie in the caller's ranges.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) }
    }
}

/// Makes instructions in `at..at+bytes` that were written as data fit to be fetched: the lines are stored (`dcbst`), the stores awaited, the
/// instruction cache's copies dropped (`icbi`), and the fetch restarted (Power ISA 3.1B Book II, instruction storage and cache management).
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
