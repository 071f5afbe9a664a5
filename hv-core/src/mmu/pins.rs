//! Pins: how a mutation knows that no fault of an older world is still on its way.
//!
//! Each CPU counts in its own cache line when it begins an attempt of a fault (it *pins*: the count turns odd), and again when it ends it. A mutation first makes its
//! change visible (a slot's sequence turns odd), then looks at every CPU's count, and waits for each that is odd to become another one: the *grace period*.
//!
//! ```text
//!   fault:     pins[me] += 1       ; fence ; read sequence ... ; pins[me] += 1
//!   mutation:  sequence := odd     ; fence ; read every pin, wait for odd ones to change
//! ```
//!
//! Of the two reads at least one sees the other side's write; that takes a full fence on both sides (on POWER `hwsync`), acquire and release
//! do not order a store before a later load. So either the fault sees the odd sequence, or the mutation sees the pin and waits. A CPU that pins again meanwhile has another
//! number, and is not waited for.
//!
//! A pin is held for one attempt of a fault, never across a wait for another CPU, so that the grace period is short and cannot deadlock.

use super::discipline::Discipline;
use crate::sync::{AtomicU64, CacheLine, Ordering, fence, relax};

/// The most CPUs that can be at one space at a time.
pub const MAX_CPUS: usize = if cfg!(loom) { 3 } else { 64 };

/// The pins of all CPUs.
#[derive(Debug)]
pub struct Pins {
    cpus: [CacheLine<AtomicU64>; MAX_CPUS],
}

impl Default for Pins {
    fn default() -> Self {
        Self::new()
    }
}

impl Discipline for Pins {
    type Desk<'a> = &'a AtomicU64;
    type Pin<'a> = Pin<'a>;

    fn desk(&self, cpu: usize) -> &AtomicU64 {
        &self.cpus[cpu].0
    }

    #[inline]
    fn pin<'a>(count: &'a AtomicU64) -> Pin<'a>
    where
        Self: 'a,
    {
        // Relaxed: only this CPU writes it, and the fence orders it.
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        // The pin before every read of the attempt; pairs with the fence in `grace`.
        fence(Ordering::SeqCst);
        Pin { count }
    }

    fn grace(&self) {
        // The caller's store before the reads below; pairs with the fence in `pin`.
        fence(Ordering::SeqCst);
        self.cpus.iter().for_each(|cpu| Self::wait_for(&cpu.0));
    }
}

impl Pins {
    /// Nobody is pinned.
    #[must_use]
    pub fn new() -> Self {
        Self { cpus: core::array::from_fn(|_| CacheLine(AtomicU64::new(0))) }
    }

    fn wait_for(count: &AtomicU64) {
        // Acquire: pairs with the release fence in `Pin::drop`; what the fault did happens before what we do next.
        let seen = count.load(Ordering::Acquire);
        while seen & 1 != 0 && count.load(Ordering::Acquire) == seen {
            relax();
        }
    }
}

/// While this lives, nothing that its CPU can reach in the tables is freed, and no slot that it saw stable is edited.
#[derive(Debug)]
pub struct Pin<'a> {
    count: &'a AtomicU64,
}

impl Drop for Pin<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: everything done under the pin is done when the mutation sees this count or a later one. A fence and not a release store, since the mutation
        // may see only the pin that follows.
        fence(Ordering::Release);
        self.count.store(self.count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_without_pins_ends_at_once() {
        let pins = Pins::new();
        drop(Pins::pin(pins.desk(0)));
        pins.grace();
        pins.grace();
    }

    #[test]
    fn a_cpu_that_pins_again_and_again_is_not_waited_for_for_ever() {
        let pins = Pins::new();
        let end = core::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !end.load(Ordering::Relaxed) {
                    let _pin = Pins::pin(pins.desk(3));
                }
            });
            (0..100).for_each(|_| pins.grace());
            end.store(true, Ordering::Relaxed);
        });
    }
}
