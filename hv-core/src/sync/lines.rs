//! Atomics and locks that report each write with its address, so that a test can tell which cache lines CPUs write in turns: such a line travels
//! from cache to cache at each write, which is what keeps faults from scaling.
//!
//! A read-modify-write counts as a write whether or not it changes anything, since the line has to come over in either case; so do locking and unlocking.

use core::ops::{Deref, DerefMut};
use core::sync::atomic;
pub use core::sync::atomic::Ordering;
use spin::Once;

static HOOK: Once<fn(usize)> = Once::new();

/// From now on `hook` is called with the address of each write. Only the first call of this function counts.
pub fn report_to(hook: fn(usize)) {
    HOOK.call_once(|| hook);
}

fn report<T>(written: &T) {
    if let Some(hook) = HOOK.get() {
        hook(core::ptr::from_ref(written).addr());
    }
}

/// `core`'s atomic doubleword; the functions mean what they mean there.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct AtomicU64(atomic::AtomicU64);

#[allow(missing_docs, reason = "core's own functions")]
impl AtomicU64 {
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(atomic::AtomicU64::new(value))
    }

    pub fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    pub fn store(&self, value: u64, order: Ordering) {
        report(self);
        self.0.store(value, order);
    }

    pub fn swap(&self, value: u64, order: Ordering) -> u64 {
        report(self);
        self.0.swap(value, order)
    }

    pub fn compare_exchange(&self, old: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        report(self);
        self.0.compare_exchange(old, new, success, failure)
    }

    pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        report(self);
        self.0.fetch_add(value, order)
    }

    pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        report(self);
        self.0.fetch_sub(value, order)
    }

    pub fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
        report(self);
        self.0.fetch_or(value, order)
    }

    pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
        report(self);
        self.0.fetch_and(value, order)
    }

    pub fn fetch_update(
        &self,
        set: Ordering,
        fetch: Ordering,
        next: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        report(self);
        self.0.fetch_update(set, fetch, next)
    }
}

/// spin's lock.
#[derive(Debug, Default)]
pub struct Lock<T>(spin::Mutex<T>);

impl<T> Lock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(spin::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> LockGuard<'_, T> {
        report(self);
        LockGuard { lock: self, guard: self.0.lock() }
    }

    /// Takes the lock if nobody has it.
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        report(self);
        Some(LockGuard { lock: self, guard: self.0.try_lock()? })
    }
}

/// What keeps a [`Lock`] locked.
#[derive(Debug)]
pub struct LockGuard<'a, T> {
    lock: &'a Lock<T>,
    guard: spin::MutexGuard<'a, T>,
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for LockGuard<'_, T> {
    fn drop(&mut self) {
        report(self.lock);
    }
}
