//! What has to hold between operations, and at the end.

use crate::Op;
use crate::memory::PAGE;
use crate::world::{LPID, Tally, World};
use hv_core::mmu::audit::Audit;
use hv_core::mmu::stats::Pages;
use hv_core::mmu::{AccessError, Cpu};
use machine::{Free, Walked, on_cpu};
use ppc64_arch::addr::GuestReal;

/// Operations between two looks at everything.
const INTERVAL: u64 = 64;
/// Operations of the guest between two looks at what CPUs have cached.
const LOOK: u64 = 8;
/// Of the pages that nobody wrote, how many go by for one that is read in the end.
const SAMPLE: usize = 16;
/// What free frames are filled with: as an entry, valid and nothing that hardware takes.
const POISON: u64 = 0xbad0_f4ee_bad0_f4ee;

/// Less than this is left when a frame of 64 KiB may not be had.
const ALMOST_NONE: u64 = 1 << 20;

impl<const BROADCAST: bool> World<'_, '_, BROADCAST> {
    pub(crate) fn check_after(&mut self, op: &Op) {
        let count = self.tally.operations;
        let of_guest =
            matches!(op, Op::Load { .. } | Op::Store { .. } | Op::Sweep { .. } | Op::Noise { .. } | Op::Fetch { .. });
        if !of_guest || count.is_multiple_of(LOOK) {
            self.check_caches();
        }
        if count.is_multiple_of(INTERVAL) {
            self.check_mapped();
            self.check_free(Some(POISON));
        }
    }

    /// No CPU that is about to run the guest has anything cached that is not so.
    fn check_caches(&self) {
        for cpu in 0..self.seats.len() {
            if !BROADCAST {
                self.visit_guest(cpu);
            }
            if let Some(stale) = self.memory.hardware.incoherence(cpu) {
                panic!("stale: {stale}");
            }
        }
    }

    /// Into the guest and out again: flushes that were missed are made up for.
    fn visit_guest(&self, cpu: usize) {
        on_cpu(cpu);
        self.seats[cpu].enter();
        self.seats[cpu].leave_guest();
    }

    /// Every page that is mapped holds what the model says, and lies in a slot.
    fn check_mapped(&mut self) {
        let (hardware, low) = (&self.memory.hardware, (16 << 20) / PAGE);
        let high = self.model.pages.range(low..).map(|(page, _)| *page);
        for page in (0..low).chain(high) {
            let Walked::Found(leaf) = hardware.peek(LPID, GuestReal::new(page * PAGE)) else { continue };
            assert!(self.model.slot_of(page * PAGE).is_some(), "page {page:#x} is mapped, outside every slot");
            let mut seen = [0; PAGE as usize];
            hardware.arena().read(leaf.host(GuestReal::new(page * PAGE)), &mut seen);
            assert!(self.model.is(page, &seen), "page {page:#x} holds something else");
            self.tally.compared += 1;
        }
    }

    /// Nobody reaches a frame that is free.
    fn check_free(&self, poison: Option<u64>) {
        for (cpu, seat) in self.seats.iter().enumerate() {
            seat.with_cpu(|space, cpu| cpu.frames.drain(&space.memory().pool));
            self.visit_guest(cpu);
        }
        let free = Free::of(self.memory, poison);
        assert_eq!(free.bytes(), self.memory.pool.free_bytes(), "frames are lost while they are free");
        if let Some(reached) = self.memory.hardware.reaches(&free) {
            panic!("used after it was freed: {reached}");
        }
    }

    /// Whether memory may run out: slots that a sequence adds can hold more than there is, and this reads them all.
    fn may_run_out(&self) -> bool {
        self.is_tight || self.memory.pool.free_bytes() < ALMOST_NONE
    }

    /// The hypervisor reads what was written and is not mapped, and some of what was not written.
    fn check_unmapped(&mut self) {
        let untouched = self.model.all_pages().step_by(SAMPLE).filter(|page| !self.model.pages.contains_key(page));
        let pages: Vec<u64> = self.model.pages.keys().copied().chain(untouched).collect();
        for page in pages {
            if matches!(self.memory.hardware.peek(LPID, GuestReal::new(page * PAGE)), Walked::Found(_)) {
                continue;
            }
            let mut seen = [0; PAGE as usize];
            match self.seats[0].read(GuestReal::new(page * PAGE), &mut seen) {
                Ok(()) => assert!(self.model.is(page, &seen), "page {page:#x} holds something else in the end"),
                Err(why) => assert!(why == AccessError::OutOfMemory && self.may_run_out(), "page {page:#x}: {why:?}"),
            }
            self.tally.compared += 1;
        }
    }

    /// Everything compared once more, the books balanced, the space cleared. The CPUs are left.
    pub(crate) fn finish(mut self) -> (Tally, Vec<Cpu>) {
        on_cpu(0);
        self.check_mapped();
        self.check_unmapped();
        self.check_free(None);
        self.check_books();
        self.mutate(0, |space, cpu| space.clear(cpu));
        assert_eq!(Audit::of(self.space), Audit::default(), "something is left after the end");
        let held = self.space.store().map_or(0, |store| store.held().memory_bytes);
        let (space, charged) = (self.space, self.charged);
        let cpus: Vec<Cpu> = self.seats.into_iter().map(hv_core::mmu::Seat::leave).collect();
        assert_eq!((held, space.ledger().drawn()), (0, charged), "the store's memory, and pages drawn, after the end");
        (self.tally, cpus)
    }

    /// Made − unmapped = live, by kind and size; tables likewise; nothing in transit.
    fn check_books(&self) {
        let audit = Audit::of(self.space);
        let (mut live, mut unmapped, mut tables) = (Pages::default(), Pages::default(), 0i64);
        for seat in &self.seats {
            seat.with_cpu(|_, cpu| {
                live.merge(&cpu.stats.made);
                unmapped.merge(&cpu.stats.unmapped);
                tables += cpu.stats.tables_made as i64 - cpu.stats.tables_freed as i64;
            });
        }
        live.subtract(&unmapped);
        assert_eq!(live, audit.live, "made − unmapped, and live");
        assert_eq!((tables, audit.transit, audit.broken), (audit.tables as i64, 0, 0), "tables, in transit, broken");
        let stored = self.space.store().map_or(0, |store| store.held().pages);
        assert_eq!(stored, audit.stored, "pages in the store, and entries that name one");
    }
}
