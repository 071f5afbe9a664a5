//! One CPU at a time, and the same CPU again: for the log, its terminal, and reports, which a fault may interrupt and then need itself.
//!
//! Whoever reports a fault of ours must not wait for ever for a CPU that will never let go: after a moment it takes what it needs by force. That is the end of the run, and at worst the
//! end of the log is garbled.

use crate::cpus::CPUS;
use crate::{memory, panic};
use core::sync::atomic::{AtomicUsize, Ordering};
use ppc64_arch::cpu;

/// Ticks that a reporter waits: a second.
const PATIENCE: u64 = 512_000_000;
/// Held by nobody.
const FREE: usize = usize::MAX;
const _: () = assert!(CPUS < FREE);

/// What one CPU holds at a time.
#[derive(Debug)]
pub struct Claim(AtomicUsize);

impl Claim {
    /// Held by nobody.
    pub const fn new() -> Self {
        Self(AtomicUsize::new(FREE))
    }

    /// Whether this CPU holds it.
    pub fn is_mine(&self) -> bool {
        // Relaxed: only this CPU stores its own number.
        self.0.load(Ordering::Relaxed) == memory::cpu()
    }

    /// Takes it if it is free; whether that was so.
    pub fn try_take(&self) -> bool {
        // Acquire: what the last holder did.
        self.0.compare_exchange(FREE, memory::cpu(), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Waits until this CPU holds it; false if it did already, and is not to give it back.
    #[must_use]
    pub fn take(&self) -> bool {
        if self.is_mine() {
            return false;
        }
        let start = cpu::timebase();
        while !self.try_take() {
            cpu::very_low_priority();
            if panic::is_mine() && cpu::timebase().wrapping_sub(start) > PATIENCE {
                self.0.store(memory::cpu(), Ordering::Relaxed);
                break;
            }
        }
        cpu::medium_priority();
        true
    }

    /// Gives it back.
    pub fn give_back(&self) {
        // Release: what the holder did is there for the next one.
        self.0.store(FREE, Ordering::Release);
    }
}
