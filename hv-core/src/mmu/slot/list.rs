//! The slots of a guest, sorted by address in a small array, found by a hint and else by bisection.
//!
//! Faults read them without a lock, under a pin; a
//! mutation makes `Slots::sequence` odd and waits for the grace period before it edits, so whoever saw an even sequence reads
//! fields that nobody writes ([`crate::mmu::pins`]). Each slot carries a sequence of its own for changes that concern only its pages.
//!
//! # Who may do what
//! Edits: only with the space's mutation lock, only between `Slots::close` + grace and `Slots::open`.

use super::{IMAGE, READ_ONLY, SlotError, SlotSpec, SlotView, Source};
use crate::delays::delay;
use crate::sync::{AtomicU64, Ordering};
use ppc64_arch::addr::{GuestReal, HostReal};

/// The most slots of one guest.
pub const MAX_SLOTS: usize = if cfg!(loom) { 2 } else { 32 };

/// What looking for a slot found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The address lies in this slot.
    Slot(SlotView),
    /// In no slot.
    Nowhere,
    /// The slots, or that slot's pages, are changing: retry.
    Busy,
}

/// One slot in memory. All fields but the sequence are written only while the slots are closed and nobody older is pinned, so Relaxed suffices
/// for them; the sequence's fences order them.
#[derive(Debug)]
struct Slot {
    sequence: AtomicU64,
    base: AtomicU64,
    end: AtomicU64,
    flags: AtomicU64,
    image_at: AtomicU64,
    image_bytes: AtomicU64,
    /// The directory of the dirty log; 0, which is in no pool, if it is off.
    log: AtomicU64,
}

impl Slot {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            sequence: zero(),
            base: zero(),
            end: zero(),
            flags: zero(),
            image_at: zero(),
            image_bytes: zero(),
            log: zero(),
        }
    }

    #[inline]
    fn holds(&self, at: u64) -> bool {
        self.base.load(Ordering::Relaxed) <= at && at < self.end.load(Ordering::Relaxed)
    }

    #[inline]
    fn view(&self, index: usize) -> SlotView {
        let read = |field: &AtomicU64| field.load(Ordering::Relaxed);
        SlotView {
            index,
            base: read(&self.base),
            end: read(&self.end),
            flags: read(&self.flags),
            image_at: read(&self.image_at),
            image_bytes: read(&self.image_bytes),
            log: read(&self.log),
        }
    }

    fn write(&self, spec: &SlotSpec) {
        let (image, at, bytes) = match spec.source {
            Source::Zero => (0, 0, 0),
            Source::Image { at, bytes } => (IMAGE, at.raw(), bytes),
        };
        self.base.store(spec.base.raw(), Ordering::Relaxed);
        self.end.store(spec.base.raw() + spec.bytes, Ordering::Relaxed);
        self.flags.store(image | if spec.read_only { READ_ONLY } else { 0 }, Ordering::Relaxed);
        self.image_at.store(at, Ordering::Relaxed);
        self.image_bytes.store(bytes, Ordering::Relaxed);
        self.log.store(0, Ordering::Relaxed);
    }

    fn forget(&self) {
        self.base.store(0, Ordering::Relaxed);
        self.end.store(0, Ordering::Relaxed);
        self.log.store(0, Ordering::Relaxed);
    }

    fn close(&self) {
        // Relaxed: the fence at the head of a grace period orders it before the pins are read.
        self.sequence.store(self.sequence.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
        delay!(Closed);
    }

    fn open(&self) {
        delay!(BeforeOpen);
        // Release: whoever sees the even value (Acquire in `find`) sees the edits.
        self.sequence.store((self.sequence.load(Ordering::Relaxed) | 1) + 1, Ordering::Release);
        delay!(Opened);
    }

    fn copy_from(&self, other: &Self) {
        let copy = |to: &AtomicU64, from: &AtomicU64| to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        copy(&self.base, &other.base);
        copy(&self.end, &other.end);
        copy(&self.flags, &other.flags);
        copy(&self.image_at, &other.image_at);
        copy(&self.image_bytes, &other.image_bytes);
        copy(&self.log, &other.log);
    }
}

/// All slots of a guest, sorted by address.
#[derive(Debug)]
pub struct Slots {
    sequence: AtomicU64,
    count: AtomicU64,
    slots: [Slot; MAX_SLOTS],
}

impl Default for Slots {
    fn default() -> Self {
        Self::new()
    }
}

impl Slots {
    /// No slots.
    #[must_use]
    pub fn new() -> Self {
        Self { sequence: AtomicU64::new(0), count: AtomicU64::new(0), slots: core::array::from_fn(|_| Slot::new()) }
    }

    /// The slot that holds `at`, `hint` tried first. To be called under a pin.
    #[inline(always)]
    pub fn find(&self, at: GuestReal, hint: usize) -> Found {
        // Acquire: an even value that a mutation left brings its edits with it. The fence in `Pins::pin` stands before the load, and the next edit
        // happens after a grace period that waits for that pin.
        if self.sequence.load(Ordering::Acquire) & 1 != 0 {
            return Found::Busy;
        }
        let hint = hint % MAX_SLOTS;
        if self.slots[hint].holds(at.raw()) { self.open_slot(at.raw(), hint) } else { self.find_elsewhere(at.raw()) }
    }

    #[cold]
    fn find_elsewhere(&self, at: u64) -> Found {
        self.bisect(at).map_or(Found::Nowhere, |index| self.open_slot(at, index))
    }

    /// A slot that held `at`, unless its pages are changing. That was asked before its sequence was read, and it may have been resized in between.
    #[inline(always)]
    fn open_slot(&self, at: u64, index: usize) -> Found {
        if self.slots[index].sequence.load(Ordering::Acquire) & 1 != 0 {
            return Found::Busy;
        }
        let view = self.slots[index].view(index);
        if view.base <= at && at < view.end { Found::Slot(view) } else { Found::Nowhere }
    }

    /// A slot that was found, once more: under the same pin it is the same.
    #[inline]
    pub(in crate::mmu) fn again(&self, index: usize) -> SlotView {
        let index = index % MAX_SLOTS;
        self.slots[index].view(index)
    }

    fn bisect(&self, at: u64) -> Option<usize> {
        let count = self.len();
        let above = self.slots[..count].partition_point(|slot| slot.base.load(Ordering::Relaxed) <= at);
        let index = above.checked_sub(1)?;
        self.slots[index].holds(at).then_some(index)
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.count.load(Ordering::Relaxed) as usize).min(MAX_SLOTS)
    }

    /// From now on every fault that looks finds the slots busy. The grace period has to follow before an edit.
    pub(in crate::mmu) fn close(&self) {
        // Relaxed: the fence at the head of `Pins::grace` orders it before the pins are read.
        self.sequence.store(self.sequence.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
        delay!(Closed);
    }

    /// Lets faults in again.
    pub(in crate::mmu) fn open(&self) {
        delay!(BeforeOpen);
        // Release: whoever sees the even value (Acquire in `find`) sees the edits.
        self.sequence.store((self.sequence.load(Ordering::Relaxed) | 1) + 1, Ordering::Release);
        delay!(Opened);
    }

    /// From now on every fault in a slot that touches `from..to` finds it busy. The grace period has to follow before an edit.
    pub(in crate::mmu) fn close_range(&self, from: u64, to: u64) {
        self.touching(from, to).for_each(Slot::close);
    }

    /// Lets faults into those slots again.
    pub(in crate::mmu) fn open_range(&self, from: u64, to: u64) {
        self.touching(from, to).for_each(Slot::open);
    }

    fn touching(&self, from: u64, to: u64) -> impl Iterator<Item = &Slot> {
        let overlaps =
            move |slot: &&Slot| slot.base.load(Ordering::Relaxed) < to && from < slot.end.load(Ordering::Relaxed);
        self.slots[..self.len()].iter().filter(overlaps)
    }

    /// Adds a slot. Only while closed.
    pub(in crate::mmu) fn insert(&self, spec: &SlotSpec) -> Result<(), SlotError> {
        let count = self.len();
        if count == MAX_SLOTS {
            return Err(SlotError::TooMany);
        }
        let (base, end) = (spec.base.raw(), spec.base.raw() + spec.bytes);
        let place = self.slots[..count].partition_point(|slot| slot.base.load(Ordering::Relaxed) < base);
        let overlaps = |slot: &Slot| slot.base.load(Ordering::Relaxed) < end && base < slot.end.load(Ordering::Relaxed);
        if self.slots[..count].iter().any(overlaps) {
            return Err(SlotError::Overlaps);
        }
        for index in (place..count).rev() {
            self.slots[index + 1].copy_from(&self.slots[index]);
        }
        self.slots[place].write(spec);
        self.count.store(count as u64 + 1, Ordering::Relaxed);
        Ok(())
    }

    /// The slot that begins at `base`. To be called with mutations locked out.
    pub(in crate::mmu) fn at(&self, base: GuestReal) -> Result<SlotView, SlotError> {
        let begins = |slot: &Slot| slot.base.load(Ordering::Relaxed) == base.raw();
        let index = self.slots[..self.len()].iter().position(begins).ok_or(SlotError::NoSuchSlot)?;
        Ok(self.slots[index].view(index))
    }

    /// The slot at `index` in the order of addresses. To be called with mutations locked out.
    pub(in crate::mmu) fn nth(&self, index: usize) -> Option<SlotView> {
        (index < self.len()).then(|| self.slots[index].view(index))
    }

    /// Takes a slot out. Only while closed.
    pub(in crate::mmu) fn remove(&self, index: usize) {
        let count = self.len();
        for below in index..count - 1 {
            self.slots[below].copy_from(&self.slots[below + 1]);
        }
        self.slots[count - 1].forget();
        self.count.store(count as u64 - 1, Ordering::Relaxed);
        // Its pages may have been closed; what stands here now is open once the slots are.
        self.slots[index].open();
    }

    /// Moves a slot's end. Only while it is closed.
    pub(in crate::mmu) fn set_end(&self, index: usize, end: u64) {
        self.slots[index].end.store(end, Ordering::Relaxed);
    }

    /// Forbids stores, or allows them. Only while it is closed.
    pub(in crate::mmu) fn set_read_only(&self, index: usize, read_only: bool) {
        let rest = self.slots[index].flags.load(Ordering::Relaxed) & !READ_ONLY;
        self.slots[index].flags.store(rest | if read_only { READ_ONLY } else { 0 }, Ordering::Relaxed);
    }

    /// Switches the dirty log on or off. Only while it is closed.
    pub(in crate::mmu) fn set_log(&self, index: usize, directory: Option<HostReal>) {
        self.slots[index].log.store(directory.map_or(0, HostReal::raw), Ordering::Relaxed);
    }

    /// Forgets all slots. Only while closed.
    pub(in crate::mmu) fn clear(&self) {
        self.slots[..self.len()].iter().for_each(Slot::forget);
        self.count.store(0, Ordering::Relaxed);
    }

    /// The first address at or above `at` that lies in a slot. To be called with mutations locked out.
    pub(in crate::mmu) fn next(&self, at: u64) -> Option<u64> {
        let ends_above = |slot: &&Slot| slot.end.load(Ordering::Relaxed) > at;
        let slot = self.slots[..self.len()].iter().find(ends_above)?;
        Some(slot.base.load(Ordering::Relaxed).max(at))
    }

    /// Whether every byte of `from..to` lies in a slot; `None` while they are changing. To be called under a pin.
    pub fn cover(&self, from: u64, to: u64) -> Option<bool> {
        let mut at = from;
        while at < to {
            match self.find(GuestReal::new(at), MAX_SLOTS) {
                Found::Slot(slot) => at = slot.end,
                Found::Nowhere => return Some(false),
                Found::Busy => return None,
            }
        }
        Some(true)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::Source;
    use super::*;

    fn spec(base: u64, bytes: u64) -> SlotSpec {
        SlotSpec { base: GuestReal::new(base), bytes, source: Source::Zero, read_only: false }
    }

    #[test]
    fn slots_are_found_whatever_the_order_they_came_in_and_whatever_the_hint() {
        let slots = Slots::new();
        for base in [0x30_0000, 0x10_0000, 0x20_0000, 0x50_0000] {
            slots.insert(&spec(base, 0x10_0000)).expect("no overlap");
        }
        for hint in [0, 1, 2, 3, 4, MAX_SLOTS, usize::MAX] {
            for at in [0x10_0000, 0x2f_ffff, 0x5f_ffff] {
                let Found::Slot(found) = slots.find(GuestReal::new(at), hint) else { panic!("{at:#x} not found") };
                assert!(found.base <= at && at < found.end);
            }
            for at in [0, 0xf_ffff, 0x40_0000, 0x60_0000, u64::MAX] {
                assert_eq!(slots.find(GuestReal::new(at), hint), Found::Nowhere);
            }
        }
    }

    #[test]
    fn closed_slots_are_busy_for_every_address() {
        let slots = Slots::new();
        slots.insert(&spec(0, 0x1000)).expect("no overlap");
        slots.close();
        assert_eq!(slots.find(GuestReal::new(0), 0), Found::Busy);
        slots.open();
        assert!(matches!(slots.find(GuestReal::new(0), 0), Found::Slot(_)));
    }
}

#[cfg(all(test, loom))]
mod interleavings {
    use super::super::Source;
    use super::*;
    use crate::mmu::discipline::Discipline;
    use crate::mmu::pins::Pins;
    use loom::sync::Arc;

    /// A slot whose every field follows from its base, so that a mixture of two slots is noticed.
    fn spec(base: u64) -> SlotSpec {
        let source = Source::Image { at: HostReal::new(base << 8), bytes: base };
        SlotSpec { base: GuestReal::new(base), bytes: base, source, read_only: false }
    }

    #[test]
    fn a_fault_never_sees_a_slot_that_is_being_edited() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let world = Arc::new((Pins::new(), Slots::new()));
            world.1.insert(&spec(0x4000)).expect("the first");
            let faults = {
                let world = world.clone();
                loom::thread::spawn(move || {
                    let (pins, slots) = &*world;
                    let _pin = Pins::pin(pins.desk(0));
                    match slots.find(GuestReal::new(0x4000), MAX_SLOTS) {
                        Found::Slot(slot) => {
                            let image = Source::Image { at: HostReal::new(0x40_0000), bytes: 0x4000 };
                            assert_eq!((slot.base, slot.end, slot.source()), (0x4000, 0x8000, image));
                        }
                        Found::Busy => {}
                        Found::Nowhere => panic!("the slot was there all the time"),
                    }
                })
            };
            let (pins, slots) = &*world;
            slots.close();
            pins.grace();
            // Goes before the other one, which has to move.
            slots.insert(&spec(0x1000)).expect("room for a second");
            slots.open();
            faults.join().expect("no panic");
        });
    }
}
