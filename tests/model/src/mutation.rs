//! Slots, and taking pages out.

use crate::log::UNIT;
use crate::memory::{ADDRESSES, Material, PAGE, Slot};
use crate::world::{World, spec};
use hv_core::mmu::slot::MAX_SLOTS;
use hv_core::mmu::{Granule, SlotError};
use ppc64_arch::addr::{GuestReal, LeafSize};

impl<const BROADCAST: bool> World<'_, '_, BROADCAST> {
    pub(crate) fn add_slot(&mut self, cpu: usize, base: u64, bytes: u64, material: Material, read_only: bool) {
        let slot = Slot::new(bytes, material, read_only);
        let mut wrong = self.wrong_shape(base, &slot);
        if self.model.slots.len() == MAX_SLOTS {
            wrong.push(SlotError::TooMany);
        }
        if self.overlaps(base, bytes, None) {
            wrong.push(SlotError::Overlaps);
        }
        let spec = spec(base, bytes, material, read_only);
        // SAFETY: 1. Images stand at the head of the arena, where nobody writes until the space is gone.
        let added = self.mutate(cpu, |space, _| unsafe { space.add_slot(&spec) });
        if self.agree(added, &wrong, &format_args!("adding {spec:x?}")) {
            self.model.slots.insert(base, slot);
        }
    }

    pub(crate) fn remove_slot(&mut self, cpu: usize, base: u64) {
        let wrong = self.missing(base);
        let removed = self.mutate(cpu, |space, cpu| space.remove_slot(cpu, GuestReal::new(base)));
        if self.agree(removed, &wrong, &format_args!("removing the slot at {base:#x}"))
            && let Some(slot) = self.model.slots.remove(&base)
        {
            self.model.forget(base / PAGE, (base + slot.bytes) / PAGE);
        }
    }

    pub(crate) fn resize_slot(&mut self, cpu: usize, base: u64, bytes: u64) {
        let mut wrong = self.missing(base);
        if let Some(slot) = self.model.slots.get(&base) {
            wrong.extend(self.wrong_shape(base, &Slot { bytes, ..slot.clone() }));
            if self.overlaps(base, bytes, Some(base)) {
                wrong.push(SlotError::Overlaps);
            }
            if slot.log.is_some() {
                wrong.push(SlotError::Logged);
            }
        }
        let resized = self.mutate(cpu, |space, cpu| space.resize_slot(cpu, GuestReal::new(base), bytes));
        if self.agree(resized, &wrong, &format_args!("resizing the slot at {base:#x} to {bytes:#x}"))
            && let Some(slot) = self.model.slots.get_mut(&base)
        {
            let old = std::mem::replace(&mut slot.bytes, bytes);
            self.model.forget((base + bytes) / PAGE, (base + old) / PAGE);
        }
    }

    pub(crate) fn set_read_only(&mut self, cpu: usize, base: u64, read_only: bool) {
        let wrong = self.missing(base);
        let set = self.mutate(cpu, |space, cpu| space.set_read_only(cpu, GuestReal::new(base), read_only));
        if self.agree(set, &wrong, &format_args!("read_only := {read_only} at {base:#x}"))
            && let Some(slot) = self.model.slots.get_mut(&base)
        {
            slot.read_only = read_only;
        }
    }

    fn missing(&self, base: u64) -> Vec<SlotError> {
        if self.model.slots.contains_key(&base) { vec![] } else { vec![SlotError::NoSuchSlot] }
    }

    /// What can be said of a slot by itself.
    fn wrong_shape(&self, base: u64, slot: &Slot) -> Vec<SlotError> {
        let align = self.space.granule().slot_alignment();
        let mut wrong = vec![];
        if slot.bytes == 0 {
            wrong.push(SlotError::Empty);
        }
        if (base | slot.bytes) & align.offset_mask() != 0 {
            wrong.push(SlotError::Misaligned);
        }
        if base.checked_add(slot.bytes).is_none_or(|end| end > ADDRESSES) {
            wrong.push(SlotError::OutOfRange);
        }
        if slot.image_bytes() > slot.bytes {
            wrong.push(SlotError::BadImage);
        }
        wrong
    }

    fn overlaps(&self, base: u64, bytes: u64, own: Option<u64>) -> bool {
        let end = base.saturating_add(bytes);
        let others = self.model.slots.iter().filter(|(other, _)| Some(**other) != own);
        others.into_iter().any(|(other, slot)| base < other + slot.bytes && *other < end)
    }

    /// Whether it was done; it has to be unless something is wrong with it, and what it is refused for has to be one of that.
    fn agree(&mut self, done: Result<(), SlotError>, wrong: &[SlotError], what: &std::fmt::Arguments<'_>) -> bool {
        match done {
            Ok(()) => assert!(wrong.is_empty(), "{what} was done, although {wrong:?}"),
            Err(why) => assert!(wrong.contains(&why), "{what} was refused as {why:?}; there is {wrong:?}"),
        }
        self.tally.refused += u64::from(done.is_err());
        done.is_ok()
    }

    pub(crate) fn unmap(&mut self, cpu: usize, from: u64, to: u64) {
        let (from, to) = if self.is_tight { self.whole_units(from, to) } else { (from, to) };
        let unmapped = self.mutate(cpu, |space, cpu| space.unmap(cpu, GuestReal::new(from), GuestReal::new(to)));
        if let Err(why) = unmapped {
            assert!(why == SlotError::OutOfMemory && self.is_tight, "unmapping {from:#x}..{to:#x} ended in {why:?}");
            return;
        }
        let (first, behind) = (from / PAGE, to.div_ceil(PAGE));
        let (first_unit, behind_units) = (first & !(UNIT - 1), behind.next_multiple_of(UNIT));
        self.model.attempt(first_unit, behind_units);
        if self.space.granule() != Granule::Fixed(LeafSize::Size4K) && first < behind {
            self.learn(cpu, first_unit, first);
            self.learn(cpu, behind, behind_units);
        }
        self.model.forget(first, behind);
    }

    /// Where leaves may be of 64 KiB, the same range rounded inwards to such.
    fn whole_units(&self, from: u64, to: u64) -> (u64, u64) {
        let size = self.space.granule().slot_alignment().bytes();
        let from = from.checked_next_multiple_of(size).unwrap_or(!(size - 1));
        (from, (to & !(size - 1)).max(from))
    }

    /// Pages at the edge of a range that was unmapped, which went if their leaf is of 64 KiB and stayed if it is not: both are right, but not some of each.
    fn learn(&mut self, cpu: usize, from: u64, to: u64) {
        let mut gone = None;
        for page in from..to {
            let (old, new) = (self.model.page(page), self.model.untouched(page));
            if self.model.slot_of(page * PAGE).is_none() || old == new {
                continue;
            }
            let mut seen = vec![0; PAGE as usize];
            self.seats[cpu]
                .read(GuestReal::new(page * PAGE), &mut seen)
                .expect("it lies in a slot, and there is memory");
            let is_new = seen == new.as_slice();
            assert!(
                is_new || seen == old.as_slice(),
                "page {page:#x} holds neither what it did nor what it did at first"
            );
            assert!(
                gone.is_none_or(|gone| gone == is_new),
                "half of the pages beside the range went, page {page:#x} did not"
            );
            gone = Some(is_new);
        }
        if gone == Some(true) {
            self.model.forget(from, to);
        }
    }

    pub(crate) fn empty(&mut self, cpu: usize) {
        self.mutate(cpu, |space, cpu| space.empty(cpu));
        self.model.attempt(0, u64::MAX / PAGE);
        self.model.pages.clear();
    }
}
