//! Memory that a worker keeps as long as it lives, of which it looks at another part in each round: what is not looked at leaves the
//! hypervisor's memory if that is short.

use super::page::{self, Mark, Page};
use super::{Failure, call};
use crate::sys::{Errno, memory};

/// The kept memory, and when each of its pages was written; 0 for never.
pub struct Kept {
    start: *mut u64,
    rounds: *mut u32,
    pages: usize,
    worker: usize,
}

/// The part of it that a round looks at: one page of so many.
const SHARE: usize = 8;

impl Kept {
    /// Maps it, and a table beside it.
    pub fn map(bytes: u64, worker: usize) -> Result<Self, Failure> {
        let pages = usize::try_from(bytes).unwrap_or(0) / page::BYTES;
        let mapped = || -> Result<Self, Errno> {
            let start = memory::map(pages * page::BYTES)?;
            Ok(Self { start, rounds: memory::map(pages.div_ceil(2) * 8)?.cast(), pages, worker })
        };
        call("mmap", mapped())
    }

    /// Verifies and rewrites a part that begins at `from`, counted around; tells how many pages were verified.
    pub fn turn(&mut self, from: u64, round: u32) -> Result<u64, Failure> {
        let first = usize::try_from(from % self.pages as u64).unwrap_or(0);
        let part = self.pages.div_ceil(SHARE);
        (0..part).try_for_each(|n| self.look((first + n) % self.pages, round))?;
        Ok(part as u64)
    }

    fn look(&mut self, n: usize, round: u32) -> Result<(), Failure> {
        // SAFETY: 1. `n` is below the number of pages. 2. Nothing else refers to this worker's own memory, and it is never unmapped.
        let (page, written) = unsafe { (Page::of(self.start, n), &mut *self.rounds.add(n)) };
        match *written {
            0 => page.verify_zero("kept, never written")?,
            before => page.verify("kept", Mark { worker: self.worker, round: before })?,
        }
        page.fill(Mark { worker: self.worker, round });
        *written = round;
        Ok(())
    }
}
