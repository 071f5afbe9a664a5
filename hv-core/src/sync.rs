//! The one place that names a synchronisation primitive, so that the interleaving tests run the real code: with
//! `RUSTFLAGS="--cfg loom"` these are loom's, which tries every order; otherwise core's atomics and spin's lock.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// A lock for what is off the fault path. Whoever holds one never waits for a grace period of a pin that it holds itself.
#[cfg(not(loom))]
pub type Lock<T> = spin::Mutex<T>;
#[cfg(loom)]
pub use model::Lock;

/// One turn of a bounded wait for another CPU.
#[inline]
pub fn relax() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// A value on cache lines of its own (128 bytes, as on POWER), so that CPUs that write neighbours do not disturb each other.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CacheLine<T>(pub T);

#[cfg(loom)]
mod model {
    /// loom's mutex under the facade's name; poisoning does not exist where a panic aborts.
    #[derive(Debug)]
    pub struct Lock<T>(loom::sync::Mutex<T>);

    impl<T> Lock<T> {
        /// A lock around `value`.
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        /// Waits for the lock.
        pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            match self.0.lock() {
                Ok(guard) => guard,
                Err(poisoned) => poisoned.into_inner(),
            }
        }

        /// Takes the lock if nobody has it.
        pub fn try_lock(&self) -> Option<loom::sync::MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }
}
