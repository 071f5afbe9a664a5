//! The processors of a guest as the others see them: each vCPU in a cell of its own, with what may be said to it while it runs elsewhere.
//!
//! The registers of a vCPU are behind a lock that the CPU which runs it holds for as long as it does. Nobody ever waits for it: the scheduler ([`super::sched`])
//! gives a vCPU to one CPU at a time, and whoever else wants it only tries.
//!
//! What can be said to a running vCPU is a flag each: set first, then the vCPU is woken, or its CPU made to look. The CPU looks at the flags before each entry, after the
//! scheduler has made known that it runs there, so that one of the two sees the other ([`super::sched`] has the fences).

use super::vcpu::Vcpu;
use super::vpa::SharedVpa;
use crate::sync::{AtomicU64, Lock, Ordering};

/// H_PROD came: the next H_CEDE returns at once.
const PRODDED: u64 = 1;
/// A system reset is to be delivered.
const RESET: u64 = 2;

/// One vCPU.
#[derive(Debug)]
pub struct Processor {
    /// Its registers.
    pub vcpu: Lock<Vcpu>,
    /// The areas that it registered.
    pub vpa: SharedVpa,
    flags: AtomicU64,
    /// Host timebase since which it could run and did not; 0: it does, or there is nothing that it could do.
    ready_since: AtomicU64,
}

impl Processor {
    /// A processor with these registers that has heard nothing yet.
    #[must_use]
    pub fn new(vcpu: Vcpu) -> Self {
        let flags = AtomicU64::new(0);
        Self { vcpu: Lock::new(vcpu), vpa: SharedVpa::default(), flags, ready_since: AtomicU64::new(0) }
    }

    /// H_PROD.
    pub fn prod(&self) {
        self.flags.fetch_or(PRODDED, Ordering::Release);
    }

    /// Whether it was prodded since it was last asked.
    pub fn take_prod(&self) -> bool {
        self.take(PRODDED)
    }

    /// H_SIGNAL_SYS_RESET.
    pub fn reset(&self) {
        self.flags.fetch_or(RESET, Ordering::Release);
    }

    /// Whether it is to be told of a system reset; it is told once.
    pub fn take_reset(&self) -> bool {
        self.take(RESET)
    }

    /// Whether something was said to it that it has not taken yet.
    #[must_use]
    pub fn has_mail(&self) -> bool {
        self.flags.load(Ordering::Acquire) != 0
    }

    /// It begins anew: whatever was said to it before was to another life.
    pub fn forget(&self) {
        self.flags.store(0, Ordering::Relaxed);
        self.ready_since.store(0, Ordering::Relaxed);
        self.vpa.reset();
    }

    /// It could run from `now` on, if not before already.
    pub fn ready(&self, now: u64) {
        // Relaxed: a figure. Whoever dispatches it has been given it by the scheduler, behind this.
        let _before = self.ready_since.compare_exchange(0, now.max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// It runs from `now` on: since when it could have. If nobody woke it, its decrementer did, at `expiry`.
    pub fn dispatched(&self, now: u64, expiry: u64) -> u64 {
        match self.ready_since.swap(0, Ordering::Relaxed) {
            0 => expiry.min(now),
            since => since,
        }
    }

    fn take(&self, flag: u64) -> bool {
        // The common answer costs a load.
        self.flags.load(Ordering::Acquire) & flag != 0 && self.flags.fetch_and(!flag, Ordering::Acquire) & flag != 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::guest::testing::vcpu;

    #[test]
    fn what_was_said_is_heard_once() {
        let processor = Processor::new(vcpu());
        assert!(!processor.has_mail() && !processor.take_prod());
        processor.prod();
        processor.prod();
        processor.reset();
        assert!(processor.take_prod() && !processor.take_prod());
        assert!(processor.has_mail() && processor.take_reset() && !processor.has_mail());
    }

    #[test]
    fn readiness_counts_from_its_beginning_to_the_dispatch() {
        let processor = Processor::new(vcpu());
        assert_eq!(processor.dispatched(50, u64::MAX), 50);
        processor.ready(60);
        processor.ready(70);
        assert_eq!(processor.dispatched(80, 10), 60);
        assert_eq!(processor.dispatched(90, 85), 85, "its decrementer woke it");
    }
}
