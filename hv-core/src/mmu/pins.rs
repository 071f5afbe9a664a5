//! Versions and pins: how a mutation knows that no fault of an older world is still on its way.
//!
//! A CPU that begins a fault writes the current version into its own cache line (it *pins*), and clears it when it is done. A mutation first makes its
//! change visible (a slot's sequence turns odd), then raises the version, then waits until no CPU shows an older one: the *grace period*.
//!
//! ```text
//!   fault:     pins[me] := version ; fence ; read sequence
//!   mutation:  sequence := odd     ; fence ; read every pin
//! ```
//!
//! Of the two reads at least one sees the other side's write; that takes a full fence on both sides (on POWER `hwsync`), acquire and release
//! do not order a store before a later load. So either the fault sees the odd sequence, or the mutation sees the pin and waits.
//!
//! A pin is held for one attempt of a fault, never across a wait for another CPU, so that the grace period is short and cannot deadlock.

use super::discipline::Discipline;
use crate::sync::{AtomicU64, CacheLine, Ordering, fence, relax};

/// The most CPUs that can be at one space at a time.
pub const MAX_CPUS: usize = if cfg!(loom) { 3 } else { 64 };

const UNPINNED: u64 = 0;

/// The pins of all CPUs, and the version that they pin.
#[derive(Debug)]
pub struct Pins {
    version: CacheLine<AtomicU64>,
    cpus: [CacheLine<AtomicU64>; MAX_CPUS],
}

impl Default for Pins {
    fn default() -> Self {
        Self::new()
    }
}

impl Discipline for Pins {
    type Pin<'a> = Pin<'a>;

    /// Pins the current version for CPU number `cpu` (below [`MAX_CPUS`]) until the guard goes.
    #[inline]
    fn pin(&self, cpu: usize) -> Pin<'_> {
        let cell = &self.cpus[cpu].0;
        debug_assert_eq!(cell.load(Ordering::Relaxed), UNPINNED, "a CPU pins once at a time");
        // Relaxed: an older version than the newest only makes a mutation wait for us needlessly.
        cell.store(self.version.0.load(Ordering::Relaxed), Ordering::Relaxed);
        // The pin before every read of the attempt; pairs with the fence in `grace`.
        fence(Ordering::SeqCst);
        Pin { cell }
    }

    /// Waits until every fault that may have seen the world before the caller's last store has ended.
    ///
    /// The caller must hold no pin of this set.
    fn grace(&self) {
        // The caller's store before the reads below; pairs with the fence in `pin`.
        fence(Ordering::SeqCst);
        let now = self.version.0.fetch_add(1, Ordering::Relaxed) + 1;
        for cpu in &self.cpus {
            Self::wait_past(&cpu.0, now);
        }
    }
}

impl Pins {
    /// Version 1, nobody pinned.
    #[must_use]
    pub fn new() -> Self {
        Self {
            version: CacheLine(AtomicU64::new(1)),
            cpus: core::array::from_fn(|_| CacheLine(AtomicU64::new(UNPINNED))),
        }
    }

    fn wait_past(cell: &AtomicU64, version: u64) {
        // Acquire: pairs with the release in `Pin::drop`; what the fault did happens before what we do next.
        while let pinned = cell.load(Ordering::Acquire)
            && pinned != UNPINNED
            && pinned < version
        {
            relax();
        }
    }
}

/// While this lives, nothing that its CPU can reach in the tables is freed, and no slot that it saw stable is edited.
#[derive(Debug)]
pub struct Pin<'a> {
    cell: &'a AtomicU64,
}

impl Drop for Pin<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: everything done under the pin is done when the mutation sees it end.
        self.cell.store(UNPINNED, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_without_pins_ends_at_once() {
        let pins = Pins::new();
        drop(pins.pin(0));
        pins.grace();
        pins.grace();
    }

    #[test]
    fn a_pin_of_a_newer_version_is_not_waited_for() {
        let pins = Pins::new();
        pins.grace();
        let _newer = pins.pin(3);
        Pins::wait_past(&pins.cpus[3].0, 2);
    }
}
