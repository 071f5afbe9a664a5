//! The dirty log of a slot: on, harvest, off. [`crate::mmu::dirty`] says how it works.

use super::Space;
use crate::mmu::dirty::{Log, LogError};
use crate::mmu::discipline::Discipline;
use crate::mmu::hardware::Hardware;
use crate::mmu::owed::Owed;
use crate::mmu::protect::{forbid, forbid_stores};
use crate::mmu::seat::Cpu;
use crate::mmu::slot::SlotView;
use ppc64_arch::addr::{GuestReal, LeafSize};

impl<H: Hardware, D: Discipline> Space<'_, H, D> {
    /// Switches the dirty log of the slot at `base` on. Every page that is stored to after this has returned, by the guest or by the hypervisor on its behalf, is in a harvest.
    ///
    /// # Errors
    /// See [`LogError`]; nothing has changed then.
    pub fn start_log(&self, cpu: &mut Cpu, base: GuestReal) -> Result<(), LogError> {
        let _turn = self.begin();
        let slot = self.slots.at(base).map_err(|_| LogError::NoSuchSlot)?;
        if slot.log().is_some() {
            return Err(LogError::AlreadyOn);
        }
        let size = Log::<H>::directory_size(slot.end - slot.base).ok_or(LogError::OutOfMemory)?;
        let mut directory = self.take(cpu, size).ok_or(LogError::OutOfMemory)?;
        directory.zero(&self.memory.hardware);
        self.close_slot(&slot);
        cpu.stats.toggled += 1;
        self.slots.set_log(slot.index, Some(directory.into_entry()));
        self.slots.open_range(slot.base, slot.end);
        // From here on every fault marks what it lets be stored to.
        forbid_stores(self, cpu, slot.base, slot.end);
        Ok(())
    }

    /// Switches it off. What was not harvested is forgotten. Pages can be stored to again after a fault each, and are promoted only on request.
    ///
    /// # Errors
    /// [`LogError::NoSuchSlot`], [`LogError::Off`].
    pub fn stop_log(&self, cpu: &mut Cpu, base: GuestReal) -> Result<(), LogError> {
        let _turn = self.begin();
        let slot = self.logged(base)?;
        self.close_slot(&slot);
        cpu.stats.toggled += 1;
        self.slots.set_log(slot.index, None);
        self.slots.open_range(slot.base, slot.end);
        self.dissolve_log(cpu, &slot);
        Ok(())
    }

    /// Takes the log of the slot at `base`: `each` is given every group of 64 pages of 4 KiB that has a dirty one, as the address of its first page, and a bit a page (bit *i*, LSB-0, is page *i*). A
    /// dirty page of 64 KiB is 16 of them.
    ///
    /// When this returns, what is stored to these pages is in the next harvest: copy them then, not in `each`. Costs one flush, and nothing for what was not written. Returns the number of dirty pages.
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
    /// let base = GuestReal::new(0);
    /// seat.with_cpu(|space, cpu| space.start_log(cpu, base)).unwrap();
    /// seat.write(GuestReal::new(0x3000), b"dirty").unwrap();
    ///
    /// let mut dirty = Vec::new();
    /// let pages = seat.with_cpu(|space, cpu| space.harvest(cpu, base, |first, bits| dirty.push((first, bits)))).unwrap();
    /// assert_eq!((pages, dirty), (1, vec![(base, 1 << 3)]));
    ///
    /// // Nothing was stored since.
    /// assert_eq!(seat.with_cpu(|space, cpu| space.harvest(cpu, base, |_, _| {})), Ok(0));
    /// ```
    ///
    /// # Errors
    /// [`LogError::NoSuchSlot`], [`LogError::Off`].
    pub fn harvest(
        &self,
        cpu: &mut Cpu,
        base: GuestReal,
        mut each: impl FnMut(GuestReal, u64),
    ) -> Result<u64, LogError> {
        let _turn = self.begin();
        let slot = self.logged(base)?;
        let log = Log::of(self.memory, &slot).ok_or(LogError::Off)?;
        let (mut owed, mut pages) = (Owed::nothing(), 0);
        log.take(|first, bits| {
            pages += u64::from(bits.count_ones());
            each(first, bits);
            self.forbid_group(cpu, first, bits, &mut owed);
        });
        let _no_cpu_stores = owed.pay(self, cpu);
        if pages != 0 {
            // Stores of the hypervisor that saw the right to are done.
            self.pins.grace();
        }
        Ok(pages)
    }

    /// Takes W from the dirty pages of a group.
    fn forbid_group(&self, cpu: &mut Cpu, first: GuestReal, bits: u64, owed: &mut Owed) {
        let mut left = bits;
        while left != 0 {
            let at = GuestReal::new(first.raw() + u64::from(left.trailing_zeros()) * LeafSize::Size4K.bytes());
            left &= left - 1;
            // SAFETY: 1. The lock keeps every table.
            let place = unsafe { self.walk(at) }.place;
            forbid(cpu, place, at, owed);
        }
    }

    fn logged(&self, base: GuestReal) -> Result<SlotView, LogError> {
        let slot = self.slots.at(base).map_err(|_| LogError::NoSuchSlot)?;
        if slot.log().is_none() { Err(LogError::Off) } else { Ok(slot) }
    }

    /// Gives back the log of a slot that nobody finds it by any more.
    #[inline(never)]
    pub(super) fn dissolve_log(&self, cpu: &mut Cpu, slot: &SlotView) {
        if let Some(log) = Log::of(self.memory, slot) {
            log.dissolve(|frame| self.put(cpu, frame));
        }
    }
}
