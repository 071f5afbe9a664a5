//! Pages that all workers write to at once, each its own words: if two processors ever had two copies of one page, words would be lost.
//!
//! Workers that are at a page at about the same time wait for each other, a little, and every second one begins with a store to the end of the page, where nothing is verified:
//! so a load and a store of two processors meet at a page that neither has yet.
//!
//! ```text
//!   page | worker 0: 16 words | worker 1: 16 words | … | worker 30 | stored to |
//! ```

use super::Failure;
use super::page::{self, Mark};
use crate::sys::{Errno, memory};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

const PAGES: usize = STEP * VISITS as usize;
/// Pages that are visited in one round.
const STEP: usize = 128;
/// So many rounds later a page is visited again.
const VISITS: u32 = 8;
const _: () = assert!(ARRIVED + STEP <= page::WORDS && super::MOST_WORKERS * OWN < page::WORDS);
/// Doublewords of a page that belong to one worker.
const OWN: usize = 16;
/// So many looks for another worker, before a page is visited without one.
const PATIENCE: u32 = 2000;
/// The first page's words: what was counted, and then who came to each page of a round.
const ARRIVED: usize = 2;

/// The pages, and before them one for what was counted.
pub struct Common {
    start: *mut u64,
}

impl Common {
    /// Maps it; processes forked after this share it.
    pub fn map() -> Result<Self, Errno> {
        memory::map_shared((PAGES + 1) * page::BYTES).map(|start| Self { start })
    }

    /// All verified pages and all migrations.
    pub fn sums(&self) -> (u64, u64) {
        (self.count(0).load(Relaxed), self.count(1).load(Relaxed))
    }

    /// Adds what a worker did.
    pub fn add(&self, pages: u64, migrations: u64) {
        self.count(0).fetch_add(pages, Relaxed);
        self.count(1).fetch_add(migrations, Relaxed);
    }

    fn count(&self, which: usize) -> &AtomicU64 {
        // SAFETY: 1. The first page is mapped as long as the process lives, and only ever used as atomics.
        unsafe { AtomicU64::from_ptr(self.start.add(which)) }
    }

    /// Visits the pages of a round: a worker's words are verified as of its last visit, and written anew. Rounds are counted from 1; all workers
    /// take the pages in the same order, so that they meet. Tells how many were verified.
    pub fn turn(&self, worker: usize, round: u32) -> Result<u64, Failure> {
        let first = (round % VISITS) as usize * STEP;
        let before = round.checked_sub(VISITS).filter(|&round| round > 0).map(|round| Mark { worker, round });
        (first..first + STEP).try_for_each(|n| self.visit(n, before, Mark { worker, round }))?;
        Ok(STEP as u64)
    }

    /// Waits until another worker is at the same page as well, or does not come.
    fn meet(&self, n: usize) {
        let arrived = self.count(ARRIVED + n % STEP);
        let before = arrived.fetch_add(1, Relaxed);
        let alone = || before.is_multiple_of(2) && arrived.load(Relaxed) == before + 1;
        for _ in (0..PATIENCE).take_while(|_| alone()) {
            core::hint::spin_loop();
        }
    }

    fn visit(&self, n: usize, before: Option<Mark>, now: Mark) -> Result<(), Failure> {
        self.meet(n);
        if now.worker.is_multiple_of(2) {
            let spare = n * page::WORDS + page::WORDS + super::MOST_WORKERS * OWN;
            // SAFETY: 1. Behind the last worker's words, and inside the page. 2. Only atomics are made of this memory.
            unsafe { AtomicU64::from_ptr(self.start.add(spare)) }.store(now.round.into(), Relaxed);
        }
        let address = self.start as usize + (n + 1) * page::BYTES;
        let key = |mark| page::key(address, mark);
        for index in now.worker * OWN..(now.worker + 1) * OWN {
            // SAFETY: 1. `index` is inside the page: there are at most 31 workers. 2. Only atomics are made of this memory.
            let word = unsafe { AtomicU64::from_ptr(self.start.add((n + 1) * page::WORDS + index)) };
            let expected = before.map_or(0, |mark| page::word(key(mark), index));
            let found = word.swap(page::word(key(now), index), Relaxed);
            if found != expected {
                return Err(Failure::Differs { part: "common", address: address + 8 * index, found, expected });
            }
        }
        Ok(())
    }
}
