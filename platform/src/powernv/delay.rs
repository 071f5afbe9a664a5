//! Waiting for a time, for drivers ([`embedded_hal::delay::DelayNs`]): by the timebase, with the core's units left to others.

use embedded_hal::delay::DelayNs;
use ppc64_arch::cpu;

/// Waits by the timebase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// Ticks of the timebase a second.
    hz: u64,
}

impl Delay {
    /// On a machine whose timebase ticks `hz` times a second.
    #[must_use]
    pub const fn new(hz: u64) -> Self {
        Self { hz }
    }
}

impl DelayNs for Delay {
    /// Waits that long or, by less than two ticks, longer.
    fn delay_ns(&mut self, ns: u32) {
        // One tick more: the first is under way.
        let ticks = u64::from(ns).saturating_mul(self.hz).div_ceil(1_000_000_000) + 1;
        let start = cpu::timebase();
        while cpu::timebase().wrapping_sub(start) < ticks {
            cpu::very_low_priority();
        }
        cpu::medium_priority();
    }
}
