//! How faults and mutations keep out of each other's way: the one thing about a [`Space`](super::Space) that can be exchanged.
//!
//! [`Pins`](super::pins::Pins) is ours: a fault takes no lock and writes no line that another CPU's fault writes. Others exist to be measured against: one lock for a
//! guest, or a lock that lets faults in together. Whatever it is, the rest of the protocol stays the same.

/// Brackets around attempts of faults, and a way to wait until those under way have ended.
pub trait Discipline: Default + Sync {
    /// While this lives, an attempt is under way.
    type Pin<'a>
    where
        Self: 'a;

    /// Begins an attempt on CPU number `cpu`, which ends when the guard goes. A CPU makes one attempt at a time.
    #[must_use]
    fn pin(&self, cpu: usize) -> Self::Pin<'_>;

    /// Returns when every attempt has ended that may have begun before the caller's last store. The caller holds no pin.
    fn grace(&self);
}
