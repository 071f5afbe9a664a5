//! Slots added, removed, resized, made read-only.
//!
//! The list of slots is edited while all of them are closed, which is short. What takes long, the pages, is done while only the slot that it concerns is closed, or,
//! where faults know already what they may not do any more, while none is.

use super::Space;
use crate::mmu::discipline::Discipline;
use crate::mmu::hardware::Hardware;
use crate::mmu::protect::forbid_stores;
use crate::mmu::seat::Cpu;
use crate::mmu::slot::{SlotError, SlotSpec, SlotView};
use crate::mmu::split::cut;
use crate::mmu::unlink::unlink;
use ppc64_arch::addr::GuestReal;

impl<H: Hardware, D: Discipline> Space<'_, H, D> {
    /// Adds a slot.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    ///
    /// # let space = Space::new(memory, 1, Granule::Auto).unwrap();
    /// let slot = |base, bytes| SlotSpec { base: GuestReal::new(base), bytes, source: Source::Zero, read_only: false };
    /// // SAFETY: 1. There is no image.
    /// let added = [slot(0, 1 << 20), slot(2 << 20, 1 << 20), slot(0x8_0000, 1 << 20)].map(|spec| unsafe { space.add_slot(&spec) });
    /// assert_eq!(added, [Ok(()), Ok(()), Err(SlotError::Overlaps)]);
    /// ```
    ///
    /// # Errors
    /// See [`SlotError`]; nothing has changed then.
    ///
    /// # Safety
    /// The image of the slot, if it has one, is host memory that nobody writes for as long as the slot lives.
    pub unsafe fn add_slot(&self, spec: &SlotSpec) -> Result<(), SlotError> {
        spec.check(self.top.address_bits(), self.granule.slot_alignment())?;
        let _turn = self.begin();
        self.slots.close();
        self.pins.grace();
        let added = self.slots.insert(spec);
        self.slots.open();
        added
    }

    /// Removes the slot that begins at `base`, its pages and its dirty log. When this returns nobody uses its image any more.
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
    /// seat.write(at, b"here").unwrap();
    /// seat.with_cpu(|space, cpu| space.remove_slot(cpu, GuestReal::new(0))).unwrap();
    /// assert_eq!(seat.write(at, b"gone"), Err(AccessError::Outside));
    /// ```
    ///
    /// # Errors
    /// [`SlotError::NoSuchSlot`]; [`SlotError::OutOfMemory`] if a leaf that reaches beyond it could not be split. Nothing has changed then.
    pub fn remove_slot(&self, cpu: &mut Cpu, base: GuestReal) -> Result<(), SlotError> {
        let turn = self.begin();
        let slot = self.slots.at(base)?;
        self.close_slot(&slot);
        if let Err(error) = self.take_out(cpu, slot.base, slot.end, turn.generation) {
            self.slots.open_range(slot.base, slot.end);
            return Err(error);
        }
        self.slots.close();
        self.pins.grace();
        self.slots.remove(slot.index);
        self.slots.open();
        self.dissolve_log(cpu, &slot);
        Ok(())
    }

    /// Gives the slot that begins at `base` another length. Pages behind the new end are forgotten.
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
    /// seat.with_cpu(|space, cpu| space.resize_slot(cpu, GuestReal::new(0), 4 << 20)).unwrap();
    /// assert!(seat.contains(GuestReal::new(0), 4 << 20));
    /// assert!(!seat.contains(GuestReal::new(4 << 20), 1));
    /// ```
    ///
    /// # Errors
    /// See [`SlotError`]: as for a new slot, and [`SlotError::Logged`] while its dirty log is on. Nothing has changed then.
    pub fn resize_slot(&self, cpu: &mut Cpu, base: GuestReal, bytes: u64) -> Result<(), SlotError> {
        let turn = self.begin();
        let slot = self.slots.at(base)?;
        let spec = SlotSpec { base, bytes, source: slot.source(), read_only: slot.read_only() };
        spec.check(self.top.address_bits(), self.granule.slot_alignment())?;
        if slot.log().is_some() {
            return Err(SlotError::Logged);
        }
        let end = base.raw() + bytes;
        if self.slots.nth(slot.index + 1).is_some_and(|next| next.base < end) {
            return Err(SlotError::Overlaps);
        }
        self.close_slot(&slot);
        let resized = if end < slot.end { self.take_out(cpu, end, slot.end, turn.generation) } else { Ok(()) };
        if resized.is_ok() {
            self.slots.set_end(slot.index, end);
        }
        self.slots.open_range(slot.base, slot.end);
        resized
    }

    /// Makes a slot read-only, or writable again. Once it is read-only and this has returned no store to it succeeds, neither of the guest nor of the hypervisor; stores
    /// that it allows again succeed after a fault.
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
    /// let (base, at) = (GuestReal::new(0), GuestReal::new(0x1000));
    /// seat.write(at, b"before").unwrap();
    /// seat.with_cpu(|space, cpu| space.set_read_only(cpu, base, true)).unwrap();
    /// assert_eq!(seat.write(at, b"after"), Err(AccessError::ReadOnly));
    /// ```
    ///
    /// # Errors
    /// [`SlotError::NoSuchSlot`].
    pub fn set_read_only(&self, cpu: &mut Cpu, base: GuestReal, read_only: bool) -> Result<(), SlotError> {
        let _turn = self.begin();
        let slot = self.slots.at(base)?;
        self.close_slot(&slot);
        self.slots.set_read_only(slot.index, read_only);
        self.slots.open_range(slot.base, slot.end);
        if read_only {
            forbid_stores(self, cpu, slot.base, slot.end);
        }
        Ok(())
    }

    /// The base of the slot that `at` lies in.
    #[must_use]
    pub fn slot_base(&self, at: GuestReal) -> Option<GuestReal> {
        let _turn = self.lock();
        let holds = |slot: &SlotView| (slot.base..slot.end).contains(&at.raw());
        let slot = (0..self.slots.len()).filter_map(|index| self.slots.nth(index)).find(holds)?;
        Some(GuestReal::new(slot.base))
    }

    /// Where the largest slot begins and ends.
    #[must_use]
    pub fn largest_slot(&self) -> Option<(GuestReal, GuestReal)> {
        let _turn = self.lock();
        let slots = (0..self.slots.len()).filter_map(|index| self.slots.nth(index));
        let largest = slots.max_by_key(|slot| slot.end - slot.base)?;
        Some((GuestReal::new(largest.base), GuestReal::new(largest.end)))
    }

    /// Closes a slot, and waits for the faults that saw it open.
    #[inline(never)]
    pub(super) fn close_slot(&self, slot: &SlotView) {
        self.slots.close_range(slot.base, slot.end);
        self.pins.grace();
    }

    /// Takes out what maps `from..to`, whose slots are closed.
    #[inline(never)]
    pub(super) fn take_out(&self, cpu: &mut Cpu, from: u64, to: u64, generation: u32) -> Result<(), SlotError> {
        cut(self, cpu, from).and_then(|()| cut(self, cpu, to)).map_err(|_| SlotError::OutOfMemory)?;
        unlink(self, from, to).flush(self, cpu).free(self, cpu, generation);
        Ok(())
    }
}
