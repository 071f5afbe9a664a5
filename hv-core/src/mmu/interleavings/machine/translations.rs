//! What each CPU of the model has cached: leaves, and where tables stand (the page-walk cache).
//!
//! Hardware may keep a translation until a flush takes it away, so this one always does. An access holds its CPU's lock from the look into the cache to the
//! byte in memory, and a flush takes every CPU's lock in turn: when the flush returns, accesses by what it took away are over, which is what `ptesync`
//! after `tlbie` says.
//!
//! ```text
//!   guest access                          flush
//!   ────────────                          ─────
//!   lock mine                             for each CPU: lock its
//!   cached? else walk, set R, cache         forget what is named
//!   load or store                           unlock
//!   unlock
//! ```
//!
//! Two rules of the architecture are asserted on the way: a translation that is cached is never found to have another frame or size than the tables say
//! (break before make), and no table is walked that has gone (loom finds the race with whoever owns the frame then).

use super::Machine;
use crate::mmu::{Access, Flush};
use crate::sync::{AtomicU64, Lock, Ordering};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::entry::Recorded;
use ppc64_arch::radix::{Entry, Leaf, Level, Rights};

/// CPUs that run guests.
const CPUS: usize = 3;

/// A cached leaf.
#[derive(Clone, Copy, Debug)]
struct Known {
    from: u64,
    size: LeafSize,
    leaf: Leaf,
}

impl Known {
    fn holds(&self, at: u64) -> bool {
        self.from == at & !self.size.offset_mask()
    }

    /// The host address of the 4 KiB page at `at`.
    fn page(&self, at: u64) -> u64 {
        (self.leaf.frame().raw() + (at & self.size.offset_mask())) & !LeafSize::Size4K.offset_mask()
    }

    fn touches(&self, from: u64, to: u64) -> bool {
        self.from < to && from < self.from + self.size.bytes()
    }
}

/// What one CPU has cached.
#[derive(Debug, Default)]
struct Cache {
    leaves: Vec<Known>,
    /// Addresses from here on, as far as an entry of the root spans, go through this table.
    tables: Vec<(u64, HostReal, &'static Level)>,
}

impl Cache {
    fn forget(&mut self, what: Flush) {
        match what {
            Flush::Range { from, to, size, .. } => {
                self.leaves.retain(|known| known.size != size || !known.touches(from.raw(), to.raw()));
            }
            Flush::Partition { .. } => *self = Self::default(),
        }
    }

    /// Caches what a walk found. What was cached for the same address and not flushed has to be the same page.
    fn remember(&mut self, known: Known) {
        let (from, to) = (known.from, known.from + known.size.bytes());
        for old in self.leaves.iter().filter(|old| old.touches(from, to)) {
            assert_eq!(old.size, known.size, "a leaf changed its size and was not flushed");
            assert_eq!(old.page(from), known.page(from), "a leaf changed its frame and was not flushed");
        }
        self.leaves.retain(|old| !old.touches(from, to));
        self.leaves.push(known);
    }
}

/// Every CPU's caches.
#[derive(Debug)]
pub struct Translations {
    cpus: [Lock<Cache>; CPUS],
}

/// What a guest's access needs of a leaf.
fn needs(access: Access) -> (Rights, Recorded) {
    match access {
        Access::Read => (Rights::READ, Recorded::REFERENCED),
        Access::Fetch => (Rights::EXECUTE, Recorded::REFERENCED),
        Access::Write => (Rights::WRITE, Recorded::all()),
    }
}

fn enough(leaf: Leaf, access: Access) -> bool {
    let (rights, recorded) = needs(access);
    leaf.rights().contains(rights) && leaf.recorded().contains(recorded)
}

impl Translations {
    pub fn new() -> Self {
        Self { cpus: core::array::from_fn(|_| Lock::new(Cache::default())) }
    }

    /// A broadcast flush.
    pub fn flush(&self, what: Flush) {
        self.cpus.iter().for_each(|cpu| cpu.lock().forget(what));
    }

    /// A flush that reaches the CPU alone that asks for it.
    pub fn flush_on(&self, cpu: usize, what: Flush) {
        self.cpus[cpu].lock().forget(what);
    }
}

impl<const B: bool> Machine<B> {
    /// One access of the guest on CPU `cpu`, through what that has cached or the tree at `root`: `work` gets the host address. `None`: a storage interrupt.
    pub fn access<R>(
        &self,
        cpu: usize,
        root: (HostReal, &'static Level),
        at: GuestReal,
        access: Access,
        work: impl FnOnce(&Self, HostReal) -> R,
    ) -> Option<R> {
        let mut cache = self.translations.cpus[cpu].lock();
        let cached = cache.leaves.iter().find(|known| known.holds(at.raw())).copied();
        // Rights that are missing here may be there in memory by now: hardware walks again before it raises an interrupt.
        let known = match cached.filter(|known| enough(known.leaf, access)) {
            Some(known) => known,
            None => self.walk(&mut cache, root, at, access)?,
        };
        Some(work(self, HostReal::new(known.page(at.raw()) + at.offset_in(LeafSize::Size4K))))
    }

    /// When nothing is on its way, whatever a CPU has cached is what the tables say: no flush is owed. Rights may have been added since.
    pub fn check_what_is_cached(&self, root: (HostReal, &'static Level)) {
        for cache in &self.translations.cpus {
            let cache = cache.lock();
            for known in &cache.leaves {
                let (entry, level) = self.entry(root, known.from);
                let Entry::Leaf(leaf) = entry else { panic!("{known:x?} is cached, the tables say {entry:x?}") };
                assert_eq!((leaf.frame(), level.leaf), (known.leaf.frame(), Some(known.size)), "cached: {known:x?}");
                assert!(leaf.rights().contains(known.leaf.rights()), "cached: {known:x?}");
            }
            for (from, base, _) in &cache.tables {
                let entry = load(&self.frames.words(root.0, root.1.entries())[root.1.index(*from)]);
                assert!(
                    matches!(entry, Entry::Table(table) if table.base() == *base),
                    "a table that has gone is cached"
                );
            }
        }
    }

    /// The entry that the tables have for `at`, and its level.
    fn entry(&self, (mut base, mut level): (HostReal, &'static Level), at: u64) -> (Entry, &'static Level) {
        loop {
            match load(&self.frames.words(base, level.entries())[level.index(at)]) {
                Entry::Table(table) => {
                    (base, level) = (table.base(), level.below(table.bits()).expect("a table of a size that is there"));
                }
                entry => return (entry, level),
            }
        }
    }

    /// Walks as hardware does: from what is cached of tables, setting R and C of a leaf that permits the access.
    fn walk(
        &self,
        cache: &mut Cache,
        root: (HostReal, &'static Level),
        at: GuestReal,
        access: Access,
    ) -> Option<Known> {
        let span = root.1.entry_span();
        let from = at.raw() & !(span - 1);
        let cached = cache.tables.iter().find(|(region, ..)| *region == from).map(|(_, base, level)| (*base, *level));
        let (mut base, mut level) = cached.unwrap_or(root);
        loop {
            let cell = &self.frames.words(base, level.entries())[level.index(at.raw())];
            match load(cell) {
                Entry::Absent(_) => return None,
                Entry::Table(table) => {
                    (base, level) = (table.base(), level.below(table.bits()).expect("a table of a size that is there"));
                    cache.tables.push((from, base, level));
                }
                Entry::Leaf(leaf) => {
                    let size = level.leaf.expect("a leaf where one may stand");
                    let leaf = self.record(cell, leaf, access)?;
                    let known = Known { from: at.raw() & !size.offset_mask(), size, leaf };
                    cache.remember(known);
                    return Some(known);
                }
            }
        }
    }

    /// Sets what the access leaves behind in its leaf, if the hardware does so and the leaf is still the same.
    fn record(&self, cell: &AtomicU64, leaf: Leaf, access: Access) -> Option<Leaf> {
        let (rights, recorded) = needs(access);
        if !leaf.rights().contains(rights) {
            return None;
        }
        let after = leaf.recording(recorded);
        if after == leaf {
            return Some(leaf);
        }
        let (old, new) = (Entry::Leaf(leaf).encode().to_be(), Entry::Leaf(after).encode().to_be());
        let set = self.sets_reference && cell.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        set.then_some(after)
    }
}

/// Acquire: the address of the next access depends on this load.
fn load(cell: &AtomicU64) -> Entry {
    Entry::decode(u64::from_be(cell.load(Ordering::Acquire)))
}
