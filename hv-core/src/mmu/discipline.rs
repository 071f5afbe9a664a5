//! How faults and mutations keep out of each other's way: the one thing about a [`Space`](super::Space) that can be exchanged.
//!
//! [`Pins`](super::pins::Pins) is ours: a fault takes no lock and writes no line that another CPU's fault writes. Others exist to be measured against: one lock for a
//! guest, or a lock that lets faults in together. Whatever it is, the rest of the protocol stays the same.

/// Brackets around attempts of faults, and a way to wait until those under way have ended.
pub trait Discipline: Default + Sync {
    /// What one CPU pins with: found once, when it takes its seat.
    type Desk<'a>: Copy
    where
        Self: 'a;

    /// While this lives, an attempt is under way.
    type Pin<'a>
    where
        Self: 'a;

    /// The desk of CPU number `cpu`, which is below [`MAX_CPUS`](super::pins::MAX_CPUS).
    #[must_use]
    fn desk(&self, cpu: usize) -> Self::Desk<'_>;

    /// Begins an attempt of the CPU whose desk it is, which ends when the guard goes. A CPU makes one attempt at a time.
    #[must_use]
    fn pin<'a>(desk: Self::Desk<'a>) -> Self::Pin<'a>
    where
        Self: 'a;

    /// Returns when every attempt has ended that may have begun before the caller's last store. The caller holds no pin.
    fn grace(&self);
}
