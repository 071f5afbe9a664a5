//! Pages unmapped, aged, taken out; leaves split and promoted; tables pruned.

use super::Space;
use crate::mmu::age::{Aged, age};
use crate::mmu::discipline::Discipline;
use crate::mmu::hardware::Hardware;
use crate::mmu::promote::{PromoteError, promote};
use crate::mmu::prune::prune;
use crate::mmu::reclaim::take_some_out;
use crate::mmu::seat::Cpu;
use crate::mmu::slot::SlotError;
use crate::mmu::split::{SplitError, split_in_place};
use crate::mmu::unlink::unlink;
use ppc64_arch::addr::{GuestReal, LeafSize};

impl<H: Hardware, D: Discipline> Space<'_, H, D> {
    /// Takes out the pages of `from..to`, bounds rounded outwards to 4 KiB: the guest sees what the slot is made of again. A huge leaf that the range covers in part
    /// is split first, so its other pages stay; a page of 64 KiB goes as a whole.
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
        self.slots.close();
        self.pins.grace();
        unlink(self, 0, self.end()).flush(self, cpu).free(self, cpu, turn.generation);
        self.slots.open();
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
    pub fn age(&self, cpu: &mut Cpu, from: GuestReal, to: GuestReal) -> Aged {
        let _turn = self.begin();
        age(self, cpu, from.raw(), to.raw().min(self.end()))
    }

    /// Frees the tables that map nothing. How many.
    pub fn prune(&self, cpu: &mut Cpu) -> u64 {
        let turn = self.begin();
        prune(self, cpu, turn.generation)
    }

    /// Takes a few pages that the guest has not used for a while out to its store. How many; 0 without a budget.
    pub fn page_out(&self, cpu: &mut Cpu) -> u64 {
        let mut turn = self.begin();
        take_some_out(self, cpu, &mut turn.hand)
    }

    /// The first address that the tree does not translate.
    fn end(&self) -> u64 {
        1 << self.top.address_bits()
    }
}
