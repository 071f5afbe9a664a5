//! Host memory in frames: who owns a piece of it, and where pieces come from.
//!
//! A [`Frame`] is ownership of a naturally aligned block of host memory; it is not `Copy`, and giving it to a table entry
//! ([`Frame::into_entry`]) and taking it back ([`Frame::from_entry`]) are the only ways around that.
//! The [`FramePool`] cuts 2 MiB blocks (`blocks`, `free`; several side by side: `extent`) under a lock; each CPU keeps a [`Run`] of small frames of its own
//! ([`super::cache`]), so that a fault takes no lock in the common case.

mod blocks;
mod extent;
mod free;

pub use blocks::Block;
pub use extent::Extent;
pub use free::Run;

use super::hardware::Hardware;
use crate::sync::Lock;
use blocks::Blocks;
use ppc64_arch::addr::{HostReal, LeafSize};

/// The host memory that guests are made of, and the machine that it belongs to. One for all guests.
#[derive(Debug)]
pub struct Memory<H> {
    /// The machine.
    pub hardware: H,
    /// Its free frames.
    pub pool: FramePool,
}

/// A naturally aligned block of host memory, owned. Dropping it without giving it back leaks it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a frame that is dropped is lost"]
pub struct Frame {
    at: HostReal,
    size: LeafSize,
}

impl Frame {
    /// Where it is.
    #[must_use]
    #[inline]
    pub const fn at(&self) -> HostReal {
        self.at
    }

    /// How large it is.
    #[must_use]
    #[inline]
    pub const fn size(&self) -> LeafSize {
        self.size
    }

    /// The same where it is known to be one of 4 KiB: its size need not be read any more.
    #[inline]
    pub(super) fn known_small(self) -> Self {
        debug_assert!(self.size == LeafSize::Size4K);
        Self { size: LeafSize::Size4K, ..self }
    }

    /// Fills it with zeros.
    #[inline]
    pub fn zero<H: Hardware>(&mut self, hardware: &H) {
        // SAFETY: 1. The frame is owned, so the range is ours alone.
        unsafe { hardware.zero(self.at, self.size.bytes()) }
    }

    /// Fills it with the `bytes` at `from`, and zeros behind them.
    ///
    /// # Safety
    /// `from..from + bytes` is host memory that nobody writes meanwhile, `bytes` is no more than the frame's size.
    pub unsafe fn fill<H: Hardware>(&mut self, hardware: &H, from: HostReal, bytes: u64) {
        debug_assert!(bytes <= self.size.bytes());
        // SAFETY: 1. The frame is owned. 2. The caller vouches for the source.
        unsafe {
            if bytes < self.size.bytes() {
                hardware.zero(self.at, self.size.bytes());
            }
            hardware.copy(self.at, from, bytes);
            hardware.make_executable(self.at, self.size.bytes());
        }
    }

    /// Gives the frame to a table entry, which owns it from now on.
    #[must_use]
    #[inline]
    pub fn into_entry(self) -> HostReal {
        self.at
    }

    /// Takes back the frame that an entry owned.
    ///
    /// # Safety
    /// The entry held this frame, at this size, by [`into_entry`](Self::into_entry), and was unlinked; no CPU can reach the frame through it any more.
    #[inline]
    pub const unsafe fn from_entry(at: HostReal, size: LeafSize) -> Self {
        Self { at, size }
    }
}

/// All free host memory, behind one lock that the fault path takes only to refill or empty a CPU's cache, or for large frames.
///
/// ```
/// use hv_core::mmu::FramePool;
/// use ppc64_arch::addr::{HostReal, LeafSize};
///
/// let (from, to) = (HostReal::new(0x20_0000), HostReal::new(0x60_0000));
/// let blocks = (0..FramePool::blocks_for(from, to)).map(|_| Default::default()).collect::<Vec<_>>();
/// let pool = FramePool::new(from, Vec::leak(blocks));
/// // SAFETY: 1. This example never touches the memory.
/// unsafe { pool.give(from, to) };
///
/// let frame = pool.take(LeafSize::Size2M).unwrap();
/// assert_eq!(pool.free_bytes(), 0x20_0000);
/// pool.put(frame);
/// assert_eq!(pool.free_bytes(), 0x40_0000);
/// ```
#[derive(Debug)]
pub struct FramePool {
    from: HostReal,
    to: HostReal,
    blocks: Lock<Blocks>,
}

impl FramePool {
    /// A pool over `span` bytes from `base` (both multiples of 2 MiB), with one element of `blocks` for each 2 MiB. It is empty until memory
    /// is given to it.
    #[must_use]
    pub fn new(base: HostReal, blocks: &'static mut [Block]) -> Self {
        let bytes = blocks.len() as u64 * LeafSize::Size2M.bytes();
        let to = base.checked_add(bytes).unwrap_or(HostReal::new(u64::MAX));
        Self { from: base, to, blocks: Lock::new(Blocks::new(base, blocks)) }
    }

    /// Whether an address lies in the memory that the pool spans: what is read from memory that may have gone bad is asked this before it is followed.
    #[must_use]
    pub fn spans(&self, at: HostReal) -> bool {
        self.from <= at && at < self.to
    }

    /// How many [`Block`]s a pool over `base..end` needs.
    #[must_use]
    pub const fn blocks_for(base: HostReal, end: HostReal) -> usize {
        (end.raw().saturating_sub(base.raw())).div_ceil(LeafSize::Size2M.bytes()) as usize
    }

    /// Gives `from..to` to the pool: the whole 4 KiB pages of it that lie in the pool's span and are not there yet. Returns how many bytes were taken.
    ///
    /// # Safety
    /// Nothing else uses that memory from now on.
    pub unsafe fn give(&self, from: HostReal, to: HostReal) -> u64 {
        self.blocks.lock().give(from, to)
    }

    /// A frame of `size` (4 KiB, 64 KiB or 2 MiB; nothing larger is ever there), its contents unknown.
    pub fn take(&self, size: LeafSize) -> Option<Frame> {
        let at = self.blocks.lock().take(size)?;
        Some(Frame { at, size })
    }

    /// 4 KiB frames that lie in one block, for one CPU to give out: as many as it may keep, none if there is none. The lock is held for as long as it takes to find the block,
    /// however many frames are in it.
    pub fn take_run(&self) -> Run {
        self.blocks.lock().take_run().unwrap_or_default()
    }

    /// Contiguous memory for at least `bytes` bytes, aligned to `align`, a power of two (never to less than 2 MiB), its contents unknown. `None`: there is no such stretch
    /// just now. It takes as long as looking at every block does.
    pub fn take_extent(&self, bytes: u64, align: u64) -> Option<Extent> {
        self.blocks.lock().take_extent(bytes, align)
    }

    /// Takes it back.
    pub fn put_extent(&self, extent: Extent) {
        let mut blocks = self.blocks.lock();
        extent.each().for_each(|at| blocks.put(at, LeafSize::Size2M));
    }

    /// Takes a frame back.
    pub fn put(&self, frame: Frame) {
        self.blocks.lock().put(frame.at, frame.size);
    }

    /// Takes many frames back at one turn of the lock.
    pub fn put_all(&self, frames: impl Iterator<Item = Frame>) {
        let mut blocks = self.blocks.lock();
        for frame in frames {
            blocks.put(frame.at, frame.size);
        }
    }

    /// Free bytes in the pool (not counting the CPUs' caches).
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.blocks.lock().free_pages() * LeafSize::Size4K.bytes()
    }

    /// Frames that were given back although they were free: a bug of ours, each one refused. Zero in a sound system.
    #[must_use]
    pub fn double_frees(&self) -> u64 {
        self.blocks.lock().double_frees()
    }
}
