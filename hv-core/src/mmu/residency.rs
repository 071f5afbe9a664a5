//! Which CPUs are inside the guest, for hardware whose flush reaches only the CPU that asks for it.
//!
//! A CPU translates for the guest only while it is inside. So a flush everywhere is: flush here, raise the version, make those inside leave, and have
//! everyone who enters on a newer version than it last flushed for flush first.
//!
//! ```text
//!   enter:  inside[me] := version ; fence ; version again, the same?    then flush here if it is newer than my last flush
//!   flush:  version += 1          ; fence ; read every inside, kick and wait for those that are older
//! ```
//!
//! That is store buffering once more: the CPU that enters sees the new version, or the one that flushes sees it inside. A CPU in the hypervisor counts as
//! outside, so two that flush at the same time do not wait for each other.

use super::pins::MAX_CPUS;
use crate::sync::{AtomicU64, CacheLine, Ordering, fence, relax};

const OUTSIDE: u64 = 0;

#[derive(Debug)]
struct Resident {
    /// The version with which the CPU entered, or `OUTSIDE`.
    inside: AtomicU64,
    /// The newest version that it has flushed for. Only that CPU uses it.
    flushed: AtomicU64,
}

/// The CPUs of one guest.
#[derive(Debug)]
pub struct Residency {
    version: CacheLine<AtomicU64>,
    cpus: [CacheLine<Resident>; MAX_CPUS],
}

impl Default for Residency {
    fn default() -> Self {
        Self::new()
    }
}

impl Residency {
    /// Nobody is inside, and nobody has flushed yet: another guest may have had the partition's number.
    #[must_use]
    pub fn new() -> Self {
        let outside = || Resident { inside: AtomicU64::new(OUTSIDE), flushed: AtomicU64::new(0) };
        Self { version: CacheLine(AtomicU64::new(1)), cpus: core::array::from_fn(|_| CacheLine(outside())) }
    }

    /// CPU number `cpu` (below [`MAX_CPUS`]) is about to enter the guest. True: it has to flush the partition on itself first.
    #[must_use]
    pub fn enter(&self, cpu: usize) -> bool {
        let me = &self.cpus[cpu].0;
        let mut version = self.version.0.load(Ordering::Relaxed);
        loop {
            me.inside.store(version, Ordering::Relaxed);
            // Inside before the version is read again; pairs with the fence in `evict`.
            fence(Ordering::SeqCst);
            let now = self.version.0.load(Ordering::Relaxed);
            if now == version {
                break;
            }
            version = now;
        }
        me.flushed.swap(version, Ordering::Relaxed) != version
    }

    /// CPU number `cpu` has left the guest.
    pub fn leave(&self, cpu: usize) {
        // Release: what it did inside is done when `evict` sees it outside, or inside again on a newer version, which is why it is a fence.
        fence(Ordering::Release);
        self.cpus[cpu].0.inside.store(OUTSIDE, Ordering::Relaxed);
    }

    /// CPU number `cpu` has flushed something on itself: returns when no other CPU can use it any more. Those that have to leave the guest for that
    /// are handed to `kick`, again and again until they did.
    pub fn evict(&self, cpu: usize, mut kick: impl FnMut(usize)) {
        // Release: the entries as they are now, to whoever enters with the new version.
        let before = self.version.0.fetch_add(1, Ordering::Release);
        let mine = &self.cpus[cpu].0.flushed;
        if mine.load(Ordering::Relaxed) == before {
            mine.store(before + 1, Ordering::Relaxed);
        }
        // The new version before the reads; pairs with the fence in `enter`.
        fence(Ordering::SeqCst);
        let others = self.cpus.iter().enumerate().filter(|(other, _)| *other != cpu);
        for (other, resident) in others {
            while let version = resident.0.inside.load(Ordering::Acquire)
                && version != OUTSIDE
                && version <= before
            {
                kick(other);
                relax();
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_flushes_and_the_next_does_not() {
        let residency = Residency::new();
        assert!(residency.enter(0));
        residency.leave(0);
        assert!(!residency.enter(0));
    }

    #[test]
    fn a_flush_that_was_missed_outside_is_made_up_for_at_entry() {
        let residency = Residency::new();
        let _first = residency.enter(1);
        residency.leave(1);
        residency.evict(0, |cpu| panic!("CPU {cpu} is outside"));
        assert!(residency.enter(1));
    }

    #[test]
    fn whoever_flushed_need_not_flush_again() {
        let residency = Residency::new();
        let _first = residency.enter(0);
        residency.leave(0);
        residency.evict(0, |_| {});
        assert!(!residency.enter(0));
    }

    #[test]
    fn a_cpu_inside_is_kicked_until_it_leaves() {
        let residency = Residency::new();
        let _first = residency.enter(1);
        let mut kicks = 0;
        residency.evict(0, |cpu| {
            kicks += 1;
            if kicks == 3 {
                residency.leave(cpu);
            }
        });
        assert_eq!(kicks, 3);
    }
}
