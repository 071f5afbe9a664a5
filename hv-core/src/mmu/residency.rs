//! Which CPUs are inside the guest, for hardware whose flush reaches only the CPU that asks for it.
//!
//! A CPU translates for the guest only while it is inside. So a flush everywhere is: flush here, raise the version, make those inside leave, and have
//! everyone who enters on a newer version than it last flushed for flush first.
//!
//! ```text
//!   enter:  known |= me, once ; inside[me] := version ; fence ; version again, the same?    then flush here if it is newer than my last flush
//!   flush:  version += 1      ; fence ; of those known read inside, kick and wait for those that are older
//! ```
//!
//! That is store buffering once more: the CPU that enters sees the new version, or the one that flushes sees it inside. A CPU in the hypervisor counts as
//! outside, so two that flush at the same time do not wait for each other.
//!
//! A kick costs both sides (under another hypervisor it is a call), so each is kicked once, all of them before the first is waited for, and again only after `KICK_TURNS` looks. A wait
//! that goes on for `STUCK_TURNS` is reported, and goes on: what is flushed may not be freed before.

use super::pins::MAX_CPUS;
use crate::sync::{AtomicU64, CacheLine, Ordering, fence, relax};

const OUTSIDE: u64 = 0;
const NEVER: u64 = 0;

/// Looks at a CPU before it is kicked once more.
const KICK_TURNS: u64 = 1 << 14;
/// Looks at a CPU after which it is reported, again and again: some tenths of a second, since whatever is below us may let a CPU rest for a while.
const STUCK_TURNS: u64 = 1 << 25;

#[derive(Debug)]
struct Shared {
    /// One more with each flush.
    version: AtomicU64,
    /// A bit for each CPU that has ever been about to enter. The others' lines need not be looked at.
    known: AtomicU64,
}

#[derive(Debug)]
struct Resident {
    /// The version with which the CPU entered, or `OUTSIDE`.
    inside: AtomicU64,
    /// The newest version that it has flushed for, or `NEVER`. Only that CPU uses it.
    flushed: AtomicU64,
}

/// The CPUs of one guest.
#[derive(Debug)]
pub struct Residency {
    shared: CacheLine<Shared>,
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
        let outside = || Resident { inside: AtomicU64::new(OUTSIDE), flushed: AtomicU64::new(NEVER) };
        let shared = Shared { version: AtomicU64::new(1), known: AtomicU64::new(0) };
        Self { shared: CacheLine(shared), cpus: core::array::from_fn(|_| CacheLine(outside())) }
    }

    /// CPU number `cpu` (below [`MAX_CPUS`]) is about to enter the guest. True: it has to flush the partition on itself first.
    #[must_use]
    pub fn enter(&self, cpu: usize) -> bool {
        let me = &self.cpus[cpu].0;
        if me.flushed.load(Ordering::Relaxed) == NEVER {
            // Relaxed: the fence below orders it.
            self.shared.0.known.fetch_or(1 << cpu, Ordering::Relaxed);
        }
        let mut version = self.shared.0.version.load(Ordering::Relaxed);
        loop {
            me.inside.store(version, Ordering::Relaxed);
            // Known and inside before the version is read again; pairs with the fence in `evict`.
            fence(Ordering::SeqCst);
            let now = self.shared.0.version.load(Ordering::Relaxed);
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
    /// are handed to `kick`, and to `stuck` if they do not.
    pub fn evict(&self, cpu: usize, mut kick: impl FnMut(usize), mut stuck: impl FnMut(usize)) {
        // Release: the entries as they are now, to whoever enters with the new version.
        let before = self.shared.0.version.fetch_add(1, Ordering::Release);
        let mine = &self.cpus[cpu].0.flushed;
        if mine.load(Ordering::Relaxed) == before {
            mine.store(before + 1, Ordering::Relaxed);
        }
        // The new version before the reads; pairs with the fence in `enter`.
        fence(Ordering::SeqCst);
        let others = self.shared.0.known.load(Ordering::Relaxed) & !(1 << cpu);
        let mut late = 0;
        for other in numbers(others).filter(|other| self.is_inside(*other, before)) {
            kick(other);
            late |= 1 << other;
        }
        numbers(late).for_each(|other| self.wait_for(other, before, &mut kick, &mut stuck));
    }

    fn wait_for(&self, other: usize, before: u64, kick: &mut impl FnMut(usize), stuck: &mut impl FnMut(usize)) {
        let mut turns = 0;
        while self.is_inside(other, before) {
            turns += 1;
            if turns % KICK_TURNS == 0 {
                kick(other);
            }
            if turns % STUCK_TURNS == 0 {
                stuck(other);
            }
            relax();
        }
    }

    /// Whether a CPU is inside since before it could know of the flush.
    fn is_inside(&self, cpu: usize, before: u64) -> bool {
        // Acquire: what it did inside comes before what follows its leaving.
        let version = self.cpus[cpu].0.inside.load(Ordering::Acquire);
        version != OUTSIDE && version <= before
    }
}

/// The numbers of the bits that are set.
fn numbers(mut bits: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let first = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        Some(first as usize)
    })
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
        residency.evict(0, |cpu| panic!("CPU {cpu} is outside"), |_| {});
        assert!(residency.enter(1));
    }

    #[test]
    fn whoever_flushed_need_not_flush_again() {
        let residency = Residency::new();
        let _first = residency.enter(0);
        residency.leave(0);
        residency.evict(0, |_| {}, |_| {});
        assert!(!residency.enter(0));
    }

    #[test]
    fn a_cpu_inside_is_kicked_once_and_again_after_a_while() {
        let residency = Residency::new();
        let _first = residency.enter(1);
        let mut kicks = 0;
        residency.evict(
            0,
            |cpu| {
                kicks += 1;
                if kicks == 3 {
                    residency.leave(cpu);
                }
            },
            |cpu| panic!("CPU {cpu} left soon"),
        );
        assert_eq!(kicks, 3);
    }

    #[test]
    fn a_cpu_that_does_not_leave_is_reported_and_waited_for() {
        let residency = Residency::new();
        let _first = residency.enter(1);
        let (mut kicks, mut reports) = (0, 0);
        let stuck = |cpu| {
            reports += 1;
            if reports == 2 {
                residency.leave(cpu);
            }
        };
        residency.evict(0, |_| kicks += 1, stuck);
        assert_eq!((kicks, reports), (1 + 2 * STUCK_TURNS / KICK_TURNS, 2));
    }

    #[test]
    fn all_are_kicked_before_the_first_is_waited_for() {
        let residency = Residency::new();
        (0..4).for_each(|cpu| _ = residency.enter(cpu));
        residency.leave(0);
        let mut kicked = Vec::new();
        let kick = |cpu| {
            kicked.push(cpu);
            if kicked.len() == 3 {
                (1..4).for_each(|cpu| residency.leave(cpu));
            }
        };
        residency.evict(0, kick, |_| {});
        assert_eq!(kicked, [1, 2, 3]);
    }

    #[test]
    fn bits_are_numbered_from_the_lowest() {
        assert_eq!(numbers(1 | 1 << 5 | 1 << 63).collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!(numbers(0).count(), 0);
    }
}
