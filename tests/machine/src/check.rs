//! Looking at every CPU's caches at once: what no single access can see.

use crate::cpu::{CpuState, Partition};
use crate::owned::Free;
use crate::recording::Pending;
use crate::tables::WalkCache;
use crate::translate::{R, Translation, Walked, walk};
use crate::{Machine, held};
use ppc64_arch::addr::{GuestReal, HostReal};

impl<const BROADCAST: bool> Machine<BROADCAST> {
    /// What partition `lpid` finds in the tables at `at`, by a walk that leaves no trace.
    #[must_use]
    pub fn peek(&self, lpid: u32, at: GuestReal) -> Walked {
        let partition = self.partition(lpid);
        walk(&self.arena, None, partition.pate, lpid, at)
    }

    /// Whether some CPU has used the leaf and still has to set R.
    #[must_use]
    pub fn owes_reference(&self, leaf: &Translation) -> bool {
        let concerns = |pending: &Pending| pending.of.cell == leaf.cell && pending.bits & R != 0;
        self.cpus.iter().any(|cpu| held(cpu).pending.iter().any(concerns))
    }

    /// A cached translation or table that the tables in memory do not bear out. While no mutation is under way there must be none, on any CPU that has made up for the
    /// flushes it missed.
    #[must_use]
    pub fn incoherence(&self, cpu: usize) -> Option<String> {
        let state = held(&self.cpus[cpu]);
        let translation = state.tlb.iter().find_map(|cached| self.stale_translation(cached));
        translation.or_else(|| self.stale_table(&state)).map(|what| format!("CPU {cpu}: {what}"))
    }

    fn stale_translation(&self, cached: &Translation) -> Option<String> {
        match self.peek(cached.lpid, GuestReal::new(cached.page)) {
            Walked::Found(now) if now.agrees(cached) && !cached.exceeds(&now) => None,
            now => Some(format!("{cached:x?} is cached, where the tables say {now:x?}")),
        }
    }

    fn stale_table(&self, state: &CpuState) -> Option<String> {
        state.tables.iter().find_map(|(lpid, at, shift, cached)| {
            let mut fresh = WalkCache::default();
            let Partition { arena, pate, .. } = self.partition(lpid);
            let _meets_the_tables = walk(arena, Some(&mut fresh), pate, lpid, at);
            let now = fresh.iter().find(|known| (known.1, known.2) == (at, shift)).map(|known| known.3);
            (now != Some(cached)).then(|| format!("{cached:x?} of {at} is cached, where the tables say {now:x?}"))
        })
    }

    /// A cached translation or table of any CPU that lies in one of the frames of `free`.
    #[must_use]
    pub fn reaches(&self, free: &Free) -> Option<String> {
        (0..self.cpus.len()).find_map(|cpu| {
            let state = held(&self.cpus[cpu]);
            let page = state.tlb.iter().find(|cached| free.touches(cached.frame(), cached.size.bytes()));
            let table = state.tables.iter().find(|known| free.touches(HostReal::new(known.3.base), 8 << known.3.bits));
            let page = page.map(|cached| format!("CPU {cpu} reaches a free frame: {cached:x?}"));
            page.or_else(|| table.map(|known| format!("CPU {cpu} walks a free table: {known:x?}")))
        })
    }

    /// Ends the test if another CPU maps any address of `found`, which CPU `cpu` has just walked to, otherwise.
    pub(crate) fn check_agreement(&self, cpu: usize, found: &Translation) {
        for other in (0..self.cpus.len()).filter(|other| *other != cpu) {
            if held(&self.cpus[other]).tlb.disagreeing(found).is_some() {
                self.check_both(cpu, other, found);
            }
        }
    }

    /// The same with both CPUs stopped: by now one of the two may have been flushed, and then it was in time.
    fn check_both(&self, cpu: usize, other: usize, found: &Translation) {
        let (first, second) = (held(&self.cpus[cpu.min(other)]), held(&self.cpus[cpu.max(other)]));
        let (ours, theirs) = if cpu < other { (first, second) } else { (second, first) };
        let still = ours.tlb.iter().any(|cached| cached.agrees(found) && cached.page == found.page);
        if let Some(old) = theirs.tlb.disagreeing(found).filter(|_| still) {
            panic!("break before make: CPU {cpu} walked to {found:x?} while CPU {other} has {old:x?} cached still");
        }
    }
}
