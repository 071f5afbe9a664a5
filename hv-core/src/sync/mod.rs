//! The one place that names a synchronisation primitive, so that tests run the real code on others:
//!
//! | built with | primitives | what for |
//! | --- | --- | --- |
//! | nothing | core's atomics, spin's lock | the hypervisor |
//! | `--cfg loom` | loom's (`model`) | every order in which CPUs can take turns |
//! | `--cfg shuttle` | shuttle's (`model`) | long runs, in random orders |
//! | `--cfg samewise_lines` | core's and spin's, each write reported (`lines`) | cache lines that CPUs write in turns |

#[cfg(not(loom))]
mod cell;
pub mod entry;
#[cfg(samewise_lines)]
pub mod lines;
#[cfg(any(loom, shuttle))]
mod model;

#[cfg(not(loom))]
pub use cell::UnsafeCell;
#[cfg(not(any(loom, shuttle, samewise_lines)))]
pub use core::sync::atomic::AtomicU64;
#[cfg(not(any(loom, shuttle)))]
pub use core::sync::atomic::{Ordering, fence};
#[cfg(samewise_lines)]
pub use lines::{AtomicU64, Lock, LockGuard};
#[cfg(loom)]
pub use loom::cell::UnsafeCell;
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(any(loom, shuttle))]
pub use model::{Lock, LockGuard};
#[cfg(shuttle)]
pub use shuttle::sync::atomic::{AtomicU64, Ordering, fence};

/// A lock for what is off the fault path. Whoever holds one never waits for a grace period of a pin that it holds itself.
#[cfg(not(any(loom, shuttle, samewise_lines)))]
pub type Lock<T> = spin::Mutex<T>;
/// What keeps a [`Lock`] locked.
#[cfg(not(any(loom, shuttle, samewise_lines)))]
pub type LockGuard<'a, T> = spin::MutexGuard<'a, T>;

/// One turn of a bounded wait for another CPU.
#[inline]
pub fn relax() {
    #[cfg(not(any(loom, shuttle)))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
}

/// A value on cache lines of its own (128 bytes, as on POWER), so that CPUs that write neighbours do not disturb each other.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CacheLine<T>(pub T);
