//! How faults and mutations keep out of each other's way: the one thing about a [`Space`](super::Space) that can be exchanged.
//!
//! [`Pins`](super::pins::Pins) is ours: a fault takes no lock and writes no line that another CPU's fault writes. Others exist to be measured against: one lock for a
//! guest, or a lock that lets faults in together. Whatever it is, the rest of the protocol stays the same.

/// Brackets around attempts of faults, and a way to wait until those under way have ended.
///
/// ```
/// # use std::sync::{Mutex, MutexGuard};
/// use hv_core::mmu::Discipline;
///
/// /// One lock for a guest: at most one attempt at a time, and when the lock is free none is under way.
/// #[derive(Default)]
/// struct OneLock(Mutex<()>);
///
/// impl Discipline for OneLock {
///     type Desk<'a> = &'a Mutex<()>;
///     type Pin<'a> = MutexGuard<'a, ()>;
///
///     fn desk(&self, _cpu: usize) -> &Mutex<()> {
///         &self.0
///     }
///
///     fn pin<'a>(desk: &'a Mutex<()>) -> MutexGuard<'a, ()>
///     where
///         Self: 'a,
///     {
///         desk.lock().unwrap()
///     }
///
///     fn grace(&self) {
///         drop(self.0.lock());
///     }
/// }
/// # use hv_core::mmu::{Config, Space};
/// # let memory = machine::Machine::with_pool(32 << 20, 1, 0);
///
/// let space: Space<'_, _, OneLock> = Space::build(memory, 1, &Config::default()).unwrap();
/// # drop(space);
/// ```
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
