//! Memory of one round: written and read on different processors, copied by fork, made read-only, forgotten, unmapped.

use super::page::{self, Mark, Page, UNIT};
use super::{Failure, call};
use crate::sys::{self, Errno, memory, process};

/// Pages in one unit.
const PER_UNIT: usize = UNIT / page::BYTES;

/// So many units of memory that has just been mapped.
pub struct Fresh {
    start: *mut u64,
    units: usize,
    mark: Mark,
}

impl Fresh {
    /// Maps it and writes it all.
    pub fn map(units: usize, mark: Mark) -> Result<Self, Errno> {
        let fresh = Self { start: memory::map(units * UNIT)?, units, mark };
        fresh.pages(0..units).for_each(|page| page.fill(mark));
        Ok(fresh)
    }

    /// The pages of some units.
    fn pages(&self, units: core::ops::Range<usize>) -> impl Iterator<Item = Page> {
        let start = self.start;
        // SAFETY: 1. The units are inside what was mapped, and nothing refers to it. 2. Whoever unmaps a unit does not ask for it again.
        (units.start * PER_UNIT..units.end * PER_UNIT).map(move |n| unsafe { Page::of(start, n) })
    }

    /// Verifies some units; tells how many pages that were.
    pub fn verify(&self, part: &'static str, units: core::ops::Range<usize>) -> Result<u64, Failure> {
        let count = units.len() * PER_UNIT;
        self.pages(units).try_for_each(|page| page.verify(part, self.mark))?;
        Ok(count as u64)
    }

    /// Where a unit begins.
    fn unit(&self, n: usize) -> *mut u64 {
        // SAFETY: 1. The unit is inside what was mapped.
        unsafe { self.start.add(n * UNIT / 8) }
    }

    /// A copy of this process finds everything, writes one half and finds that; this one writes the other half meanwhile. Neither sees the other's.
    /// Tells how many pages this process verified.
    pub fn copy(&self) -> Result<u64, Failure> {
        // SAFETY: 1. The copy only looks at memory, and exits.
        let copy = call("fork", unsafe { process::fork() })?;
        let half = self.units / 2;
        if copy == 0 {
            let found = self.verify("copied", 0..self.units).and_then(|_| self.rewrite(0..half, 1));
            if let Err(why) = found {
                why.report(self.mark.worker);
            }
            sys::exit(usize::from(found.is_err()));
        }
        let found = self.rewrite(half..self.units, 2);
        match call("wait4", process::wait(copy))? {
            true => found,
            false => Err(Failure::Copy),
        }
    }

    /// Writes some units with another mark, verifies everything, and writes what was there before.
    fn rewrite(&self, units: core::ops::Range<usize>, side: u32) -> Result<u64, Failure> {
        let other = Mark { round: self.mark.round | side << 30, ..self.mark };
        self.pages(units.clone()).for_each(|page| page.fill(other));
        self.verify("beside a copy", 0..units.start)?;
        self.verify("beside a copy", units.end..self.units)?;
        self.pages(units.clone()).try_for_each(|page| page.verify("written beside a copy", other))?;
        self.pages(units).for_each(|page| page.fill(self.mark));
        Ok((self.units * PER_UNIT) as u64)
    }

    /// A unit is read-only for a while: it still reads, and the kernel cannot write there for us.
    pub fn read_only(&self, n: usize) -> Result<u64, Failure> {
        let unit = self.unit(n);
        // SAFETY: 1. A unit is whole pages. 2. It is only read until it is writable again.
        call("mprotect", unsafe { memory::protect(unit, UNIT, false) })?;
        self.expect("read-only", n, false)?;
        let verified = self.verify("read-only", n..n + 1)?;
        // SAFETY: 1. As above.
        call("mprotect", unsafe { memory::protect(unit, UNIT, true) })?;
        self.expect("writable again", n, true)?;
        self.pages(n..n + 1).for_each(|page| page.fill(self.mark));
        Ok(verified + self.verify("writable again", n..n + 1)?)
    }

    /// A unit is forgotten: it reads as zero, and can be written again.
    pub fn forget(&self, n: usize) -> Result<u64, Failure> {
        // SAFETY: 1. A unit is whole pages of this worker's own, and no reference points there.
        call("madvise", unsafe { memory::forget(self.unit(n), UNIT) })?;
        self.pages(n..n + 1).try_for_each(|page| page.verify_zero("forgotten"))?;
        self.pages(n..n + 1).for_each(|page| page.fill(self.mark));
        Ok(PER_UNIT as u64 + self.verify("written after it was forgotten", n..n + 1)?)
    }

    /// Units are unmapped one after the other, the last first: each is gone, and the others are still there.
    pub fn unmap(mut self) -> Result<u64, Failure> {
        let mut verified = 0;
        while self.units > 0 {
            let last = self.units - 1;
            // SAFETY: 1. A unit is whole pages; it is not asked for again.
            call("munmap", unsafe { memory::unmap(self.unit(last), UNIT) })?;
            self.expect("unmapped", last, false)?;
            self.units = last;
            verified += self.verify("beside what was unmapped", last.saturating_sub(1)..last)?;
        }
        Ok(verified)
    }

    /// Whether the kernel may write to the beginning of a unit, as it should.
    fn expect(&self, part: &'static str, n: usize, writable: bool) -> Result<(), Failure> {
        let address = self.unit(n);
        // SAFETY: 1. Nothing refers to what is there; the caller writes it anew.
        match call("clock_gettime", unsafe { memory::is_writable(address) })? == writable {
            true => Ok(()),
            false => Err(Failure::Rights { part, address: address as usize }),
        }
    }
}
