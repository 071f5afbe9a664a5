//! Host memory of any size, of which only the pages that are touched exist.

use hv_core::sync::AtomicU64;
use ppc64_arch::addr::{HostReal, LeafSize};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::io;

/// A stretch of host memory that begins as zeros.
#[derive(Debug)]
pub struct Arena {
    base: HostReal,
    bytes: u64,
    memory: *mut u8,
}

// SAFETY: 1. The mapping is not tied to a thread. 2. It is accessed through atomics, or by whoever owns a frame of it.
unsafe impl Send for Arena {}
// SAFETY: 1. and 2. as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// `bytes` of memory, known as `base` and up.
    ///
    /// # Errors
    /// What the system says when it has no room for the mapping.
    pub fn new(base: HostReal, bytes: u64) -> io::Result<Self> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: 1. A new mapping at an address of the system's choice.
        let memory = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes as usize, access, flags) }?;
        Ok(Self { base, bytes, memory: memory.cast() })
    }

    /// Makes all of it exist.
    pub fn touch(&self) {
        for offset in (0..self.bytes).step_by(LeafSize::Size4K.bytes() as usize) {
            let at = self.reach(HostReal::new(self.base.raw() + offset), 1);
            // SAFETY: 1. The byte lies in the mapping. 2. Fresh memory is zeros, so nobody's contents change.
            unsafe { at.write_volatile(at.read_volatile()) };
        }
    }

    /// Where the byte at `at` is, if all of `at..at + bytes` is here.
    #[inline]
    fn reach(&self, at: HostReal, bytes: u64) -> *mut u8 {
        let offset = at.raw().wrapping_sub(self.base.raw());
        assert!(offset < self.bytes && bytes <= self.bytes - offset, "{at} is not in the arena");
        // SAFETY: 1. The offset lies in the mapping.
        unsafe { self.memory.add(offset as usize) }
    }

    /// The doublewords at `at` (a multiple of 8).
    #[inline]
    #[must_use]
    pub fn words(&self, at: HostReal, count: usize) -> &[AtomicU64] {
        let first = self.reach(at, count as u64 * 8);
        debug_assert!(at.raw().is_multiple_of(8));
        // SAFETY: 1. The range lies in the mapping, which lives as long as `self`. 2. Every doubleword is a good atomic.
        unsafe { std::slice::from_raw_parts(first.cast(), count) }
    }

    /// The bytes at `at`, to be accessed by whoever owns the frame.
    #[inline]
    #[must_use]
    pub fn bytes(&self, at: HostReal, count: usize) -> *mut u8 {
        self.reach(at, count as u64)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: 1. This very mapping was made in `new`, and nothing borrows it any more.
        let unmapped = unsafe { munmap(self.memory.cast(), self.bytes as usize) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours is not there");
    }
}
