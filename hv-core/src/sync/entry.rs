//! The doublewords of tables, which are big-endian in memory whatever the CPU's order.
//!
//! | on | loads and stores | swaps a value's bytes by |
//! | --- | --- | --- |
//! | POWER | by `ldbrx` and `stdbrx`, which also swap | memory, where registers cannot |
//! | hosts and models | by the facade's atomics | whatever the compiler knows |

use super::AtomicU64;
#[cfg(not(all(target_arch = "powerpc64", target_endian = "little")))]
use super::Ordering;
#[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
use ppc64_arch::cpu;

/// Loads a doubleword. What is reached *through* it is read after it, and at least as new as whoever stored it (by release) knew it: a table behind its entry.
///
/// On POWER the address dependency alone orders that, without a barrier; elsewhere, models included, it is an Acquire load.
#[must_use]
#[inline]
pub fn follow(cell: &AtomicU64) -> u64 {
    #[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
    // SAFETY: 1. An atomic is aligned, and may be read whatever others do.
    let value = unsafe { cpu::load_big_endian(cell.as_ptr()) };
    #[cfg(not(all(target_arch = "powerpc64", target_endian = "little")))]
    let value = u64::from_be(cell.load(Ordering::Acquire));
    value
}

/// Makes what was loaded by [`follow`] before an Acquire load: whatever comes later comes after it.
#[inline]
pub fn acquire() {
    #[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
    cpu::lwsync();
}

/// Loads a doubleword. Nothing is ordered.
#[must_use]
#[inline]
pub fn load(cell: &AtomicU64) -> u64 {
    #[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
    // SAFETY: 1. An atomic is aligned, and may be read whatever others do.
    let value = unsafe { cpu::load_big_endian(cell.as_ptr()) };
    #[cfg(not(all(target_arch = "powerpc64", target_endian = "little")))]
    let value = u64::from_be(cell.load(Ordering::Relaxed));
    value
}

/// Stores a doubleword. Nothing is ordered.
#[inline]
pub fn store(cell: &AtomicU64, value: u64) {
    #[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
    // SAFETY: 1. An atomic is aligned, and may be written whatever others do.
    unsafe {
        cpu::store_big_endian(cell.as_ptr(), value);
    }
    #[cfg(not(all(target_arch = "powerpc64", target_endian = "little")))]
    cell.store(value.to_be(), Ordering::Relaxed);
}

/// The same as a Release store: whoever sees it sees what was done before.
#[inline]
pub fn store_release(cell: &AtomicU64, value: u64) {
    #[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
    {
        cpu::lwsync();
        store(cell, value);
    }
    #[cfg(not(all(target_arch = "powerpc64", target_endian = "little")))]
    cell.store(value.to_be(), Ordering::Release);
}

/// A value as it stands in memory.
#[must_use]
#[inline]
pub fn in_memory(value: u64) -> u64 {
    #[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
    return cpu::swap_bytes(value);
    #[cfg(not(all(target_arch = "powerpc64", target_endian = "little")))]
    value.to_be()
}
