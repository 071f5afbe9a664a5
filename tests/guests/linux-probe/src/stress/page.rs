//! Pages of 4 KiB and what stands on them.
//!
//! The first 86 doublewords are noise that follows from the page's key, and the rest of the page repeats them, so that a hypervisor which
//! compresses pages can.

use super::Failure;
use crate::compressible::{NOISE, mixed};

/// Doublewords of a page.
pub const WORDS: usize = 512;
/// Bytes of a page, the smallest of all kernels.
pub const BYTES: usize = 8 * WORDS;
/// Bytes of the largest page of the kernels that are tested: rights and mappings are changed in these.
pub const UNIT: usize = 64 << 10;

/// When a page was written, and by whom.
#[derive(Clone, Copy)]
pub struct Mark {
    pub worker: usize,
    pub round: u32,
}

/// A page of mapped memory that belongs to this worker.
#[derive(Clone, Copy)]
pub struct Page(*mut u64);

impl Page {
    /// The `n`th page from `start` on.
    ///
    /// # Safety
    /// It must lie inside one mapping of this worker's own, to which nothing refers, for as long as it is used.
    pub unsafe fn of(start: *mut u64, n: usize) -> Self {
        // SAFETY: 1. The caller says that it is inside the mapping.
        Self(unsafe { start.add(n * WORDS) })
    }

    /// Its address.
    pub fn address(self) -> usize {
        self.0 as usize
    }

    /// Writes all of it.
    pub fn fill(self, mark: Mark) {
        let key = key(self.address(), mark);
        for index in 0..WORDS {
            // SAFETY: 1. The page is this worker's, by `of`. 2. Volatile: the compiler must not see that the value is known.
            unsafe { self.0.add(index).write_volatile(word(key, index)) };
        }
    }

    /// Whether it holds what was written with that mark.
    pub fn verify(self, part: &'static str, mark: Mark) -> Result<(), Failure> {
        let key = key(self.address(), mark);
        self.compare(part, |index| word(key, index))
    }

    /// Whether nothing was written since it was made.
    pub fn verify_zero(self, part: &'static str) -> Result<(), Failure> {
        self.compare(part, |_| 0)
    }

    fn compare(self, part: &'static str, expected: impl Fn(usize) -> u64) -> Result<(), Failure> {
        for index in 0..WORDS {
            // SAFETY: 1. As in `fill`.
            let found = unsafe { self.0.add(index).read_volatile() };
            let expected = expected(index);
            if found != expected {
                return Err(Failure::Differs { part, address: self.address() + 8 * index, found, expected });
            }
        }
        Ok(())
    }
}

/// What tells this page, written then and by that worker, from all others.
pub fn key(address: usize, mark: Mark) -> u64 {
    mixed(address as u64 ^ mixed(u64::from(mark.round) << 8 | mark.worker as u64))
}

/// What stands at doubleword `index` of a page with that key.
pub fn word(key: u64, index: usize) -> u64 {
    mixed(key.wrapping_add(index as u64 % NOISE))
}
