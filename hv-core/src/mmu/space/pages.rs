//! Pages unmapped, aged, taken out; leaves split and promoted; tables pruned.

use super::Space;
use crate::mmu::age::{Aged, age};
use crate::mmu::discipline::Discipline;
use crate::mmu::hardware::Hardware;
use crate::mmu::promote::{PromoteError, promote};
use crate::mmu::protect::forbid_fetches;
use crate::mmu::prune::prune;
use crate::mmu::reclaim::{Hand, take_some_out};
use crate::mmu::seat::Cpu;
use crate::mmu::slot::SlotError;
use crate::mmu::split::{SplitError, cut, split_in_place};
use crate::mmu::unlink::unlink;
use ppc64_arch::addr::{GuestReal, LeafSize};

impl<H: Hardware, D: Discipline> Space<'_, H, D> {
    /// Takes out the pages of `from..to`, bounds rounded outwards to 4 KiB: the guest sees what the slot is made of again. A huge leaf that the range covers in part
    /// is split first, so its other pages stay; a page of 64 KiB goes as a whole.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Fixed(LeafSize::Size4K)).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// let (at, mut bytes) = (GuestReal::new(0x1000), [0; 4]);
    /// seat.write(at, b"page").unwrap();
    /// seat.with_cpu(|space, cpu| space.unmap(cpu, at, GuestReal::new(0x2000))).unwrap();
    /// // The slot is made of zeros.
    /// seat.read(at, &mut bytes).unwrap();
    /// assert_eq!(bytes, [0; 4]);
    /// ```
    ///
    /// # Errors
    /// [`SlotError::OutOfMemory`] if the machine has no frame for the table of such a split. Nothing has changed then.
    pub fn unmap(&self, cpu: &mut Cpu, from: GuestReal, to: GuestReal) -> Result<(), SlotError> {
        let from = from.align_down(LeafSize::Size4K).raw();
        let to = to.align_up(LeafSize::Size4K).map_or(u64::MAX, GuestReal::raw).min(self.end());
        if from >= to {
            return Ok(());
        }
        let turn = self.begin();
        self.slots.close_range(from, to);
        self.pins.grace();
        let result = self.take_out(cpu, from, to, turn.generation);
        self.slots.open_range(from, to);
        result
    }

    /// Takes out every page and every table: the guest sees its slots as they were in the beginning. Frames go back to the pool.
    pub fn empty(&self, cpu: &mut Cpu) {
        let turn = self.begin();
        self.stop();
        unlink(self, 0, self.end()).flush(self, cpu).free(self, cpu, turn.generation);
        if let Some(hashed) = self.hashed {
            // SAFETY: 1. `stop` closed it and waited; the lock is ours. 2. The caller's guest has ended, or is yet to begin.
            unsafe { hashed.empty() }
        }
        self.go_on();
    }

    /// Ends the space: pages, tables and the slots go; the root stays until [`destroy`](Self::destroy).
    pub fn clear(&self, cpu: &mut Cpu) {
        let turn = self.begin();
        self.slots.close();
        self.pins.grace();
        unlink(self, 0, self.end()).flush(self, cpu).free(self, cpu, turn.generation);
        let logs = (0..self.slots.len()).filter_map(|index| self.slots.nth(index));
        logs.for_each(|slot| self.dissolve_log(cpu, &slot));
        self.slots.clear();
        self.slots.open();
    }

    /// Splits the leaf that maps `at` into leaves of the next smaller size, in place.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Auto).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// seat.write(GuestReal::new(0), b"one leaf of 2 MiB").unwrap();
    /// seat.with_cpu(|space, cpu| space.split(cpu, GuestReal::new(0))).unwrap();
    /// let again = seat.with_cpu(|space, cpu| space.split(cpu, GuestReal::new(0)));
    /// assert_eq!(again, Err(SplitError::Smallest));
    /// ```
    ///
    /// # Errors
    /// See [`SplitError`]; nothing has changed then.
    pub fn split(&self, cpu: &mut Cpu, at: GuestReal) -> Result<(), SplitError> {
        let _turn = self.begin();
        if at.raw() >= self.end() {
            return Err(SplitError::NoLeaf);
        }
        // SAFETY: 1. The lock keeps every table.
        let place = unsafe { self.walk(at) }.place;
        split_in_place(self, cpu, place, at)
    }

    /// Replaces the table of leaves that maps `at` by one leaf: where they are if their frames lie side by side, else by a copy. Its size.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Fixed(LeafSize::Size4K)).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// for page in 0..512 {
    ///     seat.write(GuestReal::new(page * 4096), &[1]).unwrap();
    /// }
    /// // The slot's log is off and all 512 pages are the guest's own: one leaf does for them.
    /// let promoted = seat.with_cpu(|space, cpu| space.promote(cpu, GuestReal::new(0)));
    /// assert_eq!(promoted, Ok(LeafSize::Size2M));
    /// ```
    ///
    /// # Errors
    /// See [`PromoteError`]; nothing has changed then.
    pub fn promote(&self, cpu: &mut Cpu, at: GuestReal) -> Result<LeafSize, PromoteError> {
        let _turn = self.begin();
        if at.raw() >= self.end() {
            return Err(PromoteError::NoTable);
        }
        promote(self, cpu, at)
    }

    /// Clears R of the leaves of `from..to`, and tells how many had been used since the last time, up to the completion of this one's flush. Where hardware leaves R to software pages rest
    /// instead: the next access brings them back.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Fixed(LeafSize::Size4K)).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// let (from, to) = (GuestReal::new(0), GuestReal::new(0x2000));
    /// seat.write(from, b"used").unwrap();
    /// seat.write(GuestReal::new(0x1000), b"used").unwrap();
    /// let aged = seat.with_cpu(|space, cpu| space.age(cpu, from, to));
    /// assert_eq!(aged, Aged { young: 2, old: 0 });
    /// // Nobody has touched them since.
    /// let aged = seat.with_cpu(|space, cpu| space.age(cpu, from, to));
    /// assert_eq!(aged, Aged { young: 0, old: 2 });
    /// ```
    pub fn age(&self, cpu: &mut Cpu, from: GuestReal, to: GuestReal) -> Aged {
        let _turn = self.begin();
        age(self, cpu, from.raw(), to.raw().min(self.end()))
    }

    /// Takes the right to fetch from the 4 KiB page at `at`, which is split off a huge leaf first. The next fetch is a storage interrupt, which gives it back: whoever wants to know when the guest comes to a
    /// place asks here.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Auto).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// let (at, behind) = (GuestReal::new(0), GuestReal::new(0x1000));
    /// seat.write(at, b"code").unwrap();
    /// assert!(seat.is_fetchable(at));
    /// seat.with_cpu(|space, cpu| space.forbid_fetch(cpu, at)).unwrap();
    /// assert!(!seat.is_fetchable(at) && seat.is_fetchable(behind));
    /// ```
    ///
    /// # Errors
    /// [`SplitError::Smallest`] if a leaf of 64 KiB maps it, [`SplitError::OutOfMemory`] if the machine has no frame for the table of a split, and [`SplitError::NoLeaf`] beyond the end of the tree. Nothing has changed
    /// then.
    pub fn forbid_fetch(&self, cpu: &mut Cpu, at: GuestReal) -> Result<(), SplitError> {
        let from = at.align_down(LeafSize::Size4K).raw();
        let to = from.saturating_add(LeafSize::Size4K.bytes());
        if to > self.end() {
            return Err(SplitError::NoLeaf);
        }
        let _turn = self.begin();
        cut(self, cpu, from)?;
        cut(self, cpu, to)?;
        // SAFETY: 1. The lock keeps every table.
        if unsafe { self.walk(at) }.place.level.leaf == Some(LeafSize::Size64K) {
            return Err(SplitError::Smallest);
        }
        forbid_fetches(self, cpu, from, to);
        Ok(())
    }

    /// Frees the tables that map nothing. How many.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Fixed(LeafSize::Size4K)).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// let at = GuestReal::new(0x1000);
    /// seat.write(at, b"page").unwrap();
    /// seat.with_cpu(|space, cpu| space.unmap(cpu, at, GuestReal::new(0x2000))).unwrap();
    /// // The tables that led to the page are still there, and map nothing.
    /// assert!(seat.with_cpu(|space, cpu| space.prune(cpu)) > 0);
    /// ```
    pub fn prune(&self, cpu: &mut Cpu) -> u64 {
        let turn = self.begin();
        prune(self, cpu, turn.generation)
    }

    /// Takes a few pages that the guest has not used for a while out to its store. How many; 0 without a budget.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::with_budget(memory, 1, Granule::Fixed(LeafSize::Size4K), &ppc64_arch::radix::geometry::ROOT, 1 << 20).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// seat.write(GuestReal::new(0), b"not used for a while").unwrap();
    /// // The first round takes note of what is used, the second takes out what was not.
    /// let out: u64 = (0..2).map(|_| seat.with_cpu(|space, cpu| space.page_out(cpu))).sum();
    /// assert!(out > 0);
    /// let mut bytes = [0; 8];
    /// seat.read(GuestReal::new(0), &mut bytes).unwrap();
    /// assert_eq!(&bytes, b"not used");
    /// ```
    pub fn page_out(&self, cpu: &mut Cpu) -> u64 {
        let mut turn = self.begin();
        take_some_out(self, cpu, &mut turn.hand)
    }

    /// Takes the pages of `from..to` out to the guest's store, used or not: how many. 0 without a budget; what does not compress stays, and so does what shares an image.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::with_budget(memory, 1, Granule::Fixed(LeafSize::Size4K), &ppc64_arch::radix::geometry::ROOT, 1 << 20).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// for page in 0..100 {
    ///     seat.write(GuestReal::new(page * 4096), b"written").unwrap();
    /// }
    /// let (from, to) = (GuestReal::new(10 * 4096), GuestReal::new(60 * 4096));
    /// assert_eq!(seat.with_cpu(|space, cpu| space.page_out_range(cpu, from, to)), 50);
    /// ```
    pub fn page_out_range(&self, cpu: &mut Cpu, from: GuestReal, to: GuestReal) -> u64 {
        let _turn = self.begin();
        let mut hand = Hand::over(from.raw()..to.raw().min(self.end()));
        // Other CPUs may bring pages back meanwhile: each is taken once on average, then it is enough.
        let most = to.raw().saturating_sub(from.raw()) / LeafSize::Size4K.bytes();
        let mut out = 0;
        while out < most {
            match take_some_out(self, cpu, &mut hand) {
                0 => break,
                some => out += some,
            }
        }
        out
    }

    /// The first address that the tree does not translate.
    fn end(&self) -> u64 {
        1 << self.top.address_bits()
    }
}
