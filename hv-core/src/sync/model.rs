//! The lock of loom or shuttle under the facade's name. Their atomics are taken as they are.

#[cfg(loom)]
use loom::sync::Mutex;
#[cfg(loom)]
pub use loom::sync::MutexGuard as LockGuard;
#[cfg(shuttle)]
use shuttle::sync::Mutex;
#[cfg(shuttle)]
pub use shuttle::sync::MutexGuard as LockGuard;

/// The model's mutex under the facade's name; poisoning does not exist where a panic aborts.
#[derive(Debug)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> LockGuard<'_, T> {
        match self.0.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// Takes the lock if nobody has it.
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}
