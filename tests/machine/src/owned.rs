//! A machine with its frame pool, given back when it is no longer needed: for tests that make thousands.

use crate::{ARENA_BASE, Arena, Machine};
use hv_core::mmu::frame::Block;
use hv_core::mmu::{Frame, FramePool, Memory};
use ppc64_arch::addr::{HostReal, LeafSize};
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// A machine and the pool over its memory.
#[derive(Debug)]
pub struct Owned<const BROADCAST: bool = true> {
    memory: ManuallyDrop<Box<Memory<Machine<BROADCAST>>>>,
    /// What the pool counts in; ours again once the pool is gone.
    blocks: *mut [Block],
    given: u64,
}

impl<const BROADCAST: bool> Owned<BROADCAST> {
    /// A pool over the memory of `hardware` but for the first `reserved` bytes (a multiple of 4 KiB), which images can stand in.
    #[must_use]
    pub fn new(hardware: Machine<BROADCAST>, reserved: u64) -> Self {
        // The pool spans no more than it gets: images that lie whole blocks below it cost it nothing.
        let base = HostReal::new(ARENA_BASE.raw() + reserved).align_down(LeafSize::Size2M);
        let end = hardware.arena().end();
        let count = FramePool::blocks_for(base, end);
        let blocks = Box::into_raw((0..count).map(|_| Block::default()).collect::<Box<[_]>>());
        // SAFETY: 1. The box was just given up. 2. `drop` takes it back only after the pool, which alone has the reference.
        let pool = FramePool::new(base, unsafe { &mut *blocks });
        // SAFETY: 1. The arena is new: nothing else uses it.
        let given = unsafe { pool.give(HostReal::new(ARENA_BASE.raw() + reserved), end) };
        Self { memory: ManuallyDrop::new(Box::new(Memory { hardware, pool })), blocks, given }
    }

    /// The bytes that the pool got.
    #[must_use]
    pub const fn given(&self) -> u64 {
        self.given
    }

    /// Keeps it for ever.
    #[must_use]
    pub fn leak(self) -> &'static Memory<Machine<BROADCAST>> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: 1. `this` is never dropped, so the box is taken once.
        Box::leak(unsafe { ManuallyDrop::take(&mut this.memory) })
    }
}

impl<const BROADCAST: bool> Deref for Owned<BROADCAST> {
    type Target = Memory<Machine<BROADCAST>>;

    fn deref(&self) -> &Self::Target {
        &self.memory
    }
}

impl<const BROADCAST: bool> Drop for Owned<BROADCAST> {
    fn drop(&mut self) {
        // SAFETY: 1. The memory is dropped here and nowhere else. 2. With it goes the pool, so the blocks are ours alone again; they came from a box.
        unsafe {
            ManuallyDrop::drop(&mut self.memory);
            drop(Box::from_raw(self.blocks));
        }
    }
}

/// The frames that were free at some moment, sorted by address.
#[derive(Debug)]
pub struct Free {
    frames: Vec<(u64, u64)>,
}

impl Free {
    /// The free frames of a pool, each filled with `poison`, if there is any, unless it was not used since the last time. Frames that CPUs keep at hand are not among them.
    #[must_use]
    pub fn of<const BROADCAST: bool>(memory: &Memory<Machine<BROADCAST>>, poison: Option<u64>) -> Self {
        let sizes = [LeafSize::Size2M, LeafSize::Size64K, LeafSize::Size4K];
        let taken: Vec<Frame> =
            sizes.into_iter().flat_map(|size| std::iter::from_fn(move || memory.pool.take(size))).collect();
        let mut frames: Vec<_> = taken.iter().map(|frame| (frame.at().raw(), frame.size().bytes())).collect();
        if let Some(poison) = poison {
            let pages_of = |&(at, bytes): &(u64, u64)| (at..at + bytes).step_by(LeafSize::Size4K.bytes() as usize);
            let pages = frames.iter().flat_map(pages_of);
            pages.for_each(|page| fill_page(memory.hardware.arena(), HostReal::new(page), poison));
        }
        memory.pool.put_all(taken.into_iter());
        frames.sort_unstable();
        Self { frames }
    }

    /// Whether any of them has a byte in `at..at + bytes`.
    #[must_use]
    pub fn touches(&self, at: HostReal, bytes: u64) -> bool {
        let behind = self.frames.partition_point(|(frame, _)| *frame < at.raw() + bytes);
        behind.checked_sub(1).is_some_and(|index| self.frames[index].0 + self.frames[index].1 > at.raw())
    }

    /// How many bytes they are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.frames.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Fills a page, unless its ends say that it is filled still.
fn fill_page(arena: &Arena, page: HostReal, poison: u64) {
    let bytes = LeafSize::Size4K.bytes();
    if arena.read_u64(page) != poison || arena.read_u64(HostReal::new(page.raw() + bytes - 8)) != poison {
        arena.fill(page, bytes, poison);
    }
}
