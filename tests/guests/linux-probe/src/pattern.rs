//! Writes a pattern over memory and reads it back.
//!
//! Every doubleword depends on where it stands, so a page that turns up in two places, or in a wrong one, shows. A second
//! pass writes the complement everywhere: a page whose write went to a stale copy shows then. Each pass writes all
//! before it reads anything, so that the first page is long out of every cache when it is looked at again.

use crate::args::{self, Amount};
use crate::{Outcome, meminfo, out::say, sys};

/// Sizes are rounded down to the largest page of the kernels that are tested.
const PAGE: u64 = 64 << 10;
const SEED: u64 = 0x5341_4d45_5749_5345;

/// Tests the amount of memory that `text` names.
pub fn run(text: &[u8]) -> Outcome {
    let Some(amount) = args::amount(text) else { return crate::usage() };
    match wanted(amount).and_then(check) {
        Ok(bytes) => {
            say!("pattern ok {bytes}");
            Outcome::Good
        }
        Err(why) => {
            why.report();
            Outcome::Bad
        }
    }
}

/// Why there is no good result.
enum Failure {
    /// /proc/meminfo could not be read or understood.
    NoMeminfo,
    /// Asking for so much would make the kernel kill processes.
    TooMuch { wanted: u64, available: u64 },
    /// Nothing to test.
    Nothing,
    /// The kernel refused the mapping.
    Map(sys::Errno),
    /// A doubleword is not what was written.
    Differs { offset: usize, found: u64, expected: u64 },
}

impl Failure {
    fn report(&self) {
        match *self {
            Self::NoMeminfo => say!("pattern FAIL: /proc/meminfo is not readable"),
            Self::TooMuch { wanted, available } => {
                say!("pattern FAIL: {wanted} bytes wanted, {available} available");
            }
            Self::Nothing => say!("pattern FAIL: less than one page asked for"),
            Self::Map(errno) => say!("pattern FAIL: mmap errno {}", errno.0),
            Self::Differs { offset, found, expected } => {
                say!("pattern FAIL at {offset:#x}: {found:#018x}, expected {expected:#018x}");
            }
        }
    }
}

/// Whole pages to test, if the kernel can spare them together with the tables that map them.
fn wanted(amount: Amount) -> Result<usize, Failure> {
    let memory = meminfo::read().ok_or(Failure::NoMeminfo)?;
    let bytes = match amount {
        Amount::Bytes(bytes) => bytes,
        Amount::Percent(percent) => memory.total / 100 * percent,
    } / PAGE
        * PAGE;
    if bytes == 0 {
        return Err(Failure::Nothing);
    }
    let tables = bytes / 256 + (4 << 20);
    if bytes.saturating_add(tables) > memory.available {
        return Err(Failure::TooMuch { wanted: bytes, available: memory.available });
    }
    usize::try_from(bytes).map_err(|_| Failure::Nothing)
}

/// Maps the memory, writes and verifies it twice; the size on success.
fn check(bytes: usize) -> Result<usize, Failure> {
    let start = sys::map(bytes).map_err(Failure::Map)?;
    let words = bytes / 8;
    for flip in [0, u64::MAX] {
        // SAFETY: 1. `start` was mapped with room for `words` doublewords and is ours alone.
        unsafe { fill(start, words, flip) };
        // SAFETY: 1. As above.
        unsafe { verify(start, words, flip)? };
    }
    // SAFETY: 1. It is the range of `map` above, and no reference was made to it.
    let _ = unsafe { sys::unmap(start, bytes) };
    Ok(bytes)
}

/// What stands at doubleword `index`: an odd multiplier spreads the index over the high half, the shift brings it down.
fn word(index: usize) -> u64 {
    let spread = (index as u64 ^ SEED).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    spread ^ (spread >> 32)
}

/// Writes every doubleword.
///
/// # Safety
/// `start` must be writable for `words` doublewords.
unsafe fn fill(start: *mut u64, words: usize, flip: u64) {
    for index in 0..words {
        // SAFETY: 1. `index` is below `words`. 2. Volatile: the compiler must not see that the value is known.
        unsafe { start.add(index).write_volatile(word(index) ^ flip) };
    }
}

/// Reads every doubleword back.
///
/// # Safety
/// `start` must be readable for `words` doublewords.
unsafe fn verify(start: *mut u64, words: usize, flip: u64) -> Result<(), Failure> {
    for index in 0..words {
        // SAFETY: 1. `index` is below `words`.
        let found = unsafe { start.add(index).read_volatile() };
        let expected = word(index) ^ flip;
        if found != expected {
            return Err(Failure::Differs { offset: index * 8, found, expected });
        }
    }
    Ok(())
}
