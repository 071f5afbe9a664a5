//! Frames, tables and stored pages on a guest's account.

use super::Space;
use crate::mmu::cache::FrameCache;
use crate::mmu::discipline::Discipline;
use crate::mmu::fault::Short;
use crate::mmu::frame::Frame;
use crate::mmu::hardware::Hardware;
use crate::mmu::ledger::{Ledger, Purse};
use crate::mmu::seat::Cpu;
use crate::mmu::stats::Made;
use crate::mmu::store::{Compressed, Frames, Handle, Page, PageStore, StoreError};
use ppc64_arch::addr::LeafSize;

impl<'m, H: Hardware, D: Discipline> Space<'m, H, D> {
    /// What it is charged for.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Its compressed pages, if it has a budget.
    #[must_use]
    pub const fn store(&self) -> Option<&Compressed> {
        self.store.as_ref()
    }

    /// Allows at most `pages` table pages of 4 KiB, the root not counted. A fault that needs one more, when no table is empty either, ends in
    /// [`Resolution::OutOfMemory`](crate::mmu::Resolution::OutOfMemory). Without a budget there is no limit but the guest's memory, of which tables take one part in 512; with one it begins as a quarter of it.
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
    /// space.limit_tables(1);
    /// // A page of 4 KiB needs a table at each of three levels below the root.
    /// assert_eq!(seat.write(GuestReal::new(0), b"page"), Err(AccessError::OutOfMemory));
    /// ```
    pub fn limit_tables(&self, pages: u64) {
        self.tables.limit(pages);
    }

    /// A frame on the guest's account. `None`: the budget or the machine has none left.
    #[inline]
    pub(in crate::mmu) fn take(&self, cpu: &mut Cpu, size: LeafSize) -> Option<Frame> {
        if !self.ledger.spend(&mut cpu.purse, pages_of(size)) {
            return None;
        }
        let frame = cpu.frames.take(&self.memory.pool, size);
        if frame.is_none() {
            self.ledger.refund(&mut cpu.purse, pages_of(size));
        }
        frame
    }

    /// Takes back a frame that was on the guest's account.
    #[inline]
    pub(in crate::mmu) fn put(&self, cpu: &mut Cpu, frame: Frame) {
        self.ledger.refund(&mut cpu.purse, pages_of(frame.size()));
        cpu.frames.put(&self.memory.pool, frame);
    }

    /// A frame for a table, within the guest's quota of tables.
    pub(in crate::mmu) fn take_table(&self, cpu: &mut Cpu) -> Result<Frame, Short> {
        if !self.tables.begin() {
            return Err(Short::Tables);
        }
        self.take(cpu, LeafSize::Size4K).ok_or_else(|| {
            self.tables.end();
            Short::Frames
        })
    }

    /// The same beyond budget and quota: for a table that a mutation needs in order to take something out.
    pub(in crate::mmu) fn overdraw_table(&self, cpu: &mut Cpu) -> Option<Frame> {
        let frame = self.overdraft(cpu).take()?;
        self.tables.begin_beyond();
        Some(frame)
    }

    /// Takes back a frame that was a table, or was to be one.
    pub(in crate::mmu) fn put_table(&self, cpu: &mut Cpu, frame: Frame) {
        self.tables.end();
        self.put(cpu, frame);
    }

    /// Fills `frame` with a page of the store.
    pub(in crate::mmu) fn fetch(&self, cpu: &mut Cpu, handle: Handle, frame: &mut Frame) -> Result<Made, StoreError> {
        let store = self.store.as_ref().ok_or(StoreError::Gone)?;
        store.fetch(self.memory, &mut cpu.buffer, Page::Kept(handle), frame)
    }

    /// Puts a page into the store. Its memory may overdraw the account: the page's own frame is given back right after.
    pub(in crate::mmu) fn keep(&self, cpu: &mut Cpu, frame: &Frame) -> Result<Handle, StoreError> {
        let store = self.store.as_ref().ok_or(StoreError::Full)?;
        let mut frames = Overdraft { space: self, purse: &mut cpu.purse, cache: &mut cpu.frames };
        store.keep(self.memory, &mut frames, &mut cpu.buffer, frame)
    }

    /// Forgets a page of the store.
    pub(in crate::mmu) fn forget(&self, cpu: &mut Cpu, handle: Handle) {
        let Some(store) = self.store.as_ref() else { return };
        let forgotten = store.forget(self.memory, &mut self.overdraft(cpu), handle);
        debug_assert!(forgotten.is_ok(), "a handle was forgotten twice");
    }

    fn overdraft<'c>(&'c self, cpu: &'c mut Cpu) -> Overdraft<'c, 'm, H, D> {
        Overdraft { space: self, purse: &mut cpu.purse, cache: &mut cpu.frames }
    }
}

/// Frames on the guest's account, whether it is spent or not.
struct Overdraft<'a, 'm, H, D> {
    space: &'a Space<'m, H, D>,
    purse: &'a mut Purse,
    cache: &'a mut FrameCache,
}

impl<H: Hardware, D: Discipline> Frames for Overdraft<'_, '_, H, D> {
    fn take(&mut self) -> Option<Frame> {
        let frame = self.cache.take(&self.space.memory.pool, LeafSize::Size4K)?;
        self.space.ledger.overdraw(self.purse, 1);
        Some(frame)
    }

    fn put(&mut self, frame: Frame) {
        self.space.ledger.refund(self.purse, pages_of(frame.size()));
        self.cache.put(&self.space.memory.pool, frame);
    }
}

pub(super) const fn pages_of(size: LeafSize) -> u64 {
    size.bytes() / LeafSize::Size4K.bytes()
}
