//! Dirty logs: nothing that was written is missing from a harvest, and little else is in it.

use crate::log::Log;
use crate::memory::PAGE;
use crate::world::World;
use hv_core::mmu::{Granule, LogError};
use ppc64_arch::addr::{GuestReal, LeafSize};
use std::collections::BTreeSet;

impl<const BROADCAST: bool> World<'_, '_, BROADCAST> {
    pub(crate) fn start_log(&mut self, cpu: usize, base: u64) {
        let started = self.mutate(cpu, |space, cpu| space.start_log(cpu, GuestReal::new(base)));
        let expected = match self.log(base) {
            None => Err(LogError::NoSuchSlot),
            Some(Some(_)) => Err(LogError::AlreadyOn),
            Some(None) if started == Err(LogError::OutOfMemory) && self.is_tight => started,
            Some(None) => Ok(()),
        };
        assert_eq!(started, expected, "switching the log at {base:#x} on");
        self.switched(base, started, Some(Log::default()));
    }

    pub(crate) fn stop_log(&mut self, cpu: usize, base: u64) {
        let stopped = self.mutate(cpu, |space, cpu| space.stop_log(cpu, GuestReal::new(base)));
        assert_eq!(stopped, self.has_log(base), "switching the log at {base:#x} off");
        self.switched(base, stopped, None);
    }

    fn switched(&mut self, base: u64, done: Result<(), LogError>, log: Option<Log>) {
        self.tally.refused += u64::from(done.is_err());
        if let Some(slot) = self.model.slots.get_mut(&base).filter(|_| done.is_ok()) {
            slot.log = log;
        }
    }

    pub(crate) fn harvest(&mut self, cpu: usize, base: u64) {
        let mut reported = BTreeSet::new();
        let each = |first: GuestReal, bits: u64| {
            assert_ne!(bits, 0, "a group without a page at {first}");
            for bit in (0..64).filter(|bit| bits >> bit & 1 != 0) {
                assert!(reported.insert(first.raw() / PAGE + bit), "page {bit} of the group at {first} twice");
            }
        };
        let harvested = self.mutate(cpu, |space, cpu| space.harvest(cpu, GuestReal::new(base), each));
        assert_eq!(harvested.map(|_| ()), self.has_log(base), "harvesting at {base:#x}");
        self.tally.refused += u64::from(harvested.is_err());
        if let Ok(pages) = harvested {
            assert_eq!(pages, reported.len() as u64, "the harvest at {base:#x} miscounts");
            self.check_harvest(base, &reported);
        }
    }

    fn check_harvest(&mut self, base: u64, reported: &BTreeSet<u64>) {
        let exact = self.space.granule() == Granule::Fixed(LeafSize::Size4K);
        let Some(slot) = self.model.slots.get_mut(&base) else { return };
        let Some(log) = &mut slot.log else { return };
        let (must, may) = log.take(exact);
        let (first, behind) = (base / PAGE, (base + slot.bytes) / PAGE);
        if let Some(lost) = must.difference(reported).next() {
            panic!("page {lost:#x} was written, and is not in the harvest of {base:#x}");
        }
        if let Some(more) = reported.iter().find(|page| !may.contains(page) || !(first..behind).contains(page)) {
            panic!("page {more:#x} is in the harvest of {base:#x}, and nothing near it was written");
        }
        self.tally.harvested += reported.len() as u64;
        self.tally.over_reported += (reported.len() - must.len()) as u64;
    }

    /// The log of the slot at `base`, if there is such a slot.
    fn log(&self, base: u64) -> Option<Option<&Log>> {
        Some(self.model.slots.get(&base)?.log.as_ref())
    }

    fn has_log(&self, base: u64) -> Result<(), LogError> {
        match self.log(base) {
            None => Err(LogError::NoSuchSlot),
            Some(None) => Err(LogError::Off),
            Some(Some(_)) => Ok(()),
        }
    }
}
