//! The machine below the tables, as cheap as it can be: what is measured is hv-core.
//!
//! Tables stand in real memory. A guest's pages are *unbacked*: nothing reads or writes them, so 16 GiB of guest take no more host memory than their
//! tables. Fresh memory is zeros already, so only a frame that was used before has to be zeroed: one that was zeroed once, or that holds something now.
//! Looking whether it does makes the system provide it, which would spoil what is timed; where no frame is used twice, that is left out ([`Frames::Once`]).
//! So a first touch costs nothing for its zeros while frames are fresh, and the whole price once they are used again.

use crate::arena::Arena;
use hv_core::mmu::{Flush, FramePool, Hardware, Memory};
use hv_core::sync::{AtomicU64, CacheLine, Ordering};
use ppc64_arch::addr::{HostReal, LeafSize};
use std::io;

/// Where host memory begins.
pub const BASE: HostReal = HostReal::new(0x1_0000_0000);

/// What is known of each frame of 4 KiB takes four bytes, so that a batch of 32 frames, which one CPU takes at a time, fills a cache line of its own.
const MARK_BYTES: u64 = 4;

/// How often a frame is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// No frame is taken that was given back.
    Once,
    /// Any frame may be taken again.
    Again,
}

/// The machine.
#[derive(Debug)]
pub struct Bench {
    frames: Frames,
    memory: Arena,
    /// Which frames were zeroed once before.
    marks: Arena,
    /// No line of hv-core's, so none that is counted.
    flushes: CacheLine<std::sync::atomic::AtomicU64>,
}

impl Bench {
    /// A machine and a frame pool over `bytes` of its memory, a multiple of 2 MiB, behind which `spare` bytes more are left for images.
    ///
    /// # Errors
    /// What the system says when it has no room for the mapping.
    pub fn with_pool(frames: Frames, bytes: u64, spare: u64) -> io::Result<Memory<Self>> {
        let hardware = Self {
            frames,
            memory: Arena::new(BASE, bytes + spare)?,
            marks: Arena::new(HostReal::new(0), bytes / LeafSize::Size4K.bytes() * MARK_BYTES)?,
            flushes: CacheLine::default(),
        };
        let end = HostReal::new(BASE.raw() + bytes);
        let blocks = (0..FramePool::blocks_for(BASE, end)).map(|_| Default::default()).collect::<Vec<_>>();
        let pool = FramePool::new(BASE, Vec::leak(blocks));
        // SAFETY: 1. The arena is new: nothing else uses it.
        let given = unsafe { pool.give(BASE, end) };
        assert_eq!(given, bytes);
        Ok(Memory { hardware, pool })
    }

    /// How many flushes were asked for.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.flushes.0.load(Ordering::Relaxed)
    }

    /// Makes what is known of frames exist, so that no fault is slowed down by the system that makes it.
    pub fn touch_marks(&self) {
        self.marks.touch();
    }

    /// Zeroes a frame of 4 KiB if it was used before.
    #[inline]
    fn zero_page(&self, at: HostReal) {
        if self.mark(at) || self.frames == Frames::Again && self.holds_something(at) {
            let page = LeafSize::Size4K.bytes() as usize;
            // SAFETY: 1. The frame is the caller's alone.
            unsafe { self.memory.bytes(at, page).write_bytes(0, page) };
        }
    }

    /// Whether its first doubleword is not 0. What is left of a table has no 0 in it.
    #[inline]
    fn holds_something(&self, at: HostReal) -> bool {
        self.memory.words(at, 1)[0].load(Ordering::Relaxed) != 0
    }

    /// Whether the frame was zeroed before; from now on it was.
    #[inline]
    fn mark(&self, frame: HostReal) -> bool {
        let index = (frame.raw() - BASE.raw()) / LeafSize::Size4K.bytes();
        let mark = self.marks.bytes(HostReal::new(index * MARK_BYTES), 1);
        // SAFETY: 1. The frame is the caller's alone, and so is its mark.
        unsafe { std::ptr::replace(mark, 1) != 0 }
    }
}

// SAFETY: 1. Addresses of the pool reach the arena, others panic. 2. No translation is cached, so a flush is complete at once.
// 3. A panic ends the measurement.
unsafe impl Hardware for Bench {
    #[inline]
    unsafe fn entries(&self, table: HostReal, count: usize) -> &[AtomicU64] {
        self.memory.words(table, count)
    }

    #[inline]
    unsafe fn zero(&self, at: HostReal, bytes: u64) {
        // A frame of 2 MiB holds a guest's page, which nobody looks into.
        if bytes < LeafSize::Size2M.bytes() {
            for page in (0..bytes).step_by(LeafSize::Size4K.bytes() as usize) {
                self.zero_page(HostReal::new(at.raw() + page));
            }
        }
    }

    unsafe fn copy(&self, _to: HostReal, _from: HostReal, _bytes: u64) {}

    unsafe fn make_executable(&self, _at: HostReal, _bytes: u64) {}

    unsafe fn read(&self, at: HostReal, into: &mut [u8]) {
        // SAFETY: 1. The range lies in one frame, which is not freed meanwhile. 2. No test lets a guest write what the hypervisor reads just then.
        unsafe { self.memory.bytes(at, into.len()).copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) }
    }

    unsafe fn write(&self, at: HostReal, from: &[u8]) {
        // SAFETY: 1. and 2. as above; tests that write one page from several threads write different bytes of it.
        unsafe { self.memory.bytes(at, from.len()).copy_from_nonoverlapping(from.as_ptr(), from.len()) }
    }

    unsafe fn bytes(&self, at: HostReal, bytes: usize) -> &[u8] {
        // SAFETY: 1. The frame is the caller's alone.
        unsafe { std::slice::from_raw_parts(self.memory.bytes(at, bytes), bytes) }
    }

    unsafe fn bytes_mut(&self, at: HostReal, bytes: usize) -> &mut [u8] {
        // SAFETY: 1. As above. 2. No other slice of the frame lives.
        unsafe { std::slice::from_raw_parts_mut(self.memory.bytes(at, bytes), bytes) }
    }

    fn sets_reference(&self) -> bool {
        true
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn flush(&self, _what: Flush) {
        self.flushes.0.fetch_add(1, Ordering::Relaxed);
    }

    fn kick(&self, _cpu: usize) {}

    fn set_partition(&self, _lpid: u32, _scoped: u64, _process: u64) {}
}
