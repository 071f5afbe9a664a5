//! Each CPU's own 4 KiB frames: taken and put without a lock.
//!
//! Those at hand stand in a short list; behind it is a run of frames that the pool gave out at once, a whole block while there are plenty. So two CPUs that fault all the time meet
//! at the pool's lock once in some hundred faults, and hold it for some dozen instructions.

use super::frame::{Frame, FramePool, Run};
use heapless::Vec;
use ppc64_arch::addr::LeafSize;

const CAPACITY: usize = if cfg!(loom) { 4 } else { 64 };
const BATCH: usize = CAPACITY / 2;

/// The frames that one CPU keeps at hand.
#[derive(Debug, Default)]
pub struct FrameCache {
    frames: Vec<Frame, CAPACITY>,
    run: Run,
    draws: u64,
}

impl FrameCache {
    /// An empty cache.
    #[must_use]
    pub const fn new() -> Self {
        Self { frames: Vec::new(), run: Run::EMPTY, draws: 0 }
    }

    /// A frame of `size`: a small one from here, refilled from `pool` when none is left; a larger one from `pool`.
    #[inline]
    pub fn take(&mut self, pool: &FramePool, size: LeafSize) -> Option<Frame> {
        if size != LeafSize::Size4K {
            self.draws += 1;
            return pool.take(size);
        }
        if self.frames.is_empty() {
            self.refill(pool);
        }
        self.frames.pop().map(Frame::known_small)
    }

    /// Takes a frame back.
    #[inline]
    pub fn put(&mut self, pool: &FramePool, frame: Frame) {
        if frame.size() != LeafSize::Size4K {
            self.draws += 1;
            return pool.put(frame);
        }
        if let Err(frame) = self.frames.push(frame) {
            self.spill(pool, BATCH);
            self.draws += 1;
            pool.put(frame);
        }
    }

    /// How often it took the pool's lock.
    #[must_use]
    pub const fn draws(&self) -> u64 {
        self.draws
    }

    /// Gives everything back to `pool`.
    pub fn drain(&mut self, pool: &FramePool) {
        self.spill(pool, CAPACITY);
        self.draws += 1;
        pool.put_all(&mut self.run);
    }

    #[cold]
    fn refill(&mut self, pool: &FramePool) {
        self.lay_out();
        if self.frames.is_empty() {
            self.draws += 1;
            self.run = pool.take_run();
            self.lay_out();
        }
    }

    /// Frames of the run to the list, which is empty.
    fn lay_out(&mut self) {
        for frame in self.run.by_ref().take(BATCH) {
            // A push cannot fail: a batch is smaller than the list.
            self.frames.push(frame).unwrap_or_else(drop_impossible);
        }
    }

    #[cold]
    fn spill(&mut self, pool: &FramePool, many: usize) {
        self.draws += 1;
        let keep = self.frames.len().saturating_sub(many);
        pool.put_all(core::iter::from_fn(|| (self.frames.len() > keep).then(|| self.frames.pop()).flatten()));
    }
}

/// The arm of a push that cannot fail.
fn drop_impossible(frame: Frame) {
    debug_assert!(false, "a refill overflowed: {frame:?}");
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::frame::Block;
    use super::*;
    use ppc64_arch::addr::HostReal;

    #[test]
    fn what_goes_through_a_cache_all_comes_back() {
        let blocks = Vec::<Block, 1>::from_iter([Block::new()]);
        let pool = FramePool::new(HostReal::new(0), Box::leak(Box::new(blocks)).as_mut_slice());
        // SAFETY: 1. The memory of this test is never touched.
        let given = unsafe { pool.give(HostReal::new(0), HostReal::new(0x20_0000)) };
        let mut cache = FrameCache::new();
        let frames: std::vec::Vec<_> = std::iter::from_fn(|| cache.take(&pool, LeafSize::Size4K)).collect();
        assert_eq!(frames.len(), 512);
        for frame in frames {
            cache.put(&pool, frame);
        }
        cache.drain(&pool);
        assert_eq!((pool.free_bytes(), pool.double_frees()), (given, 0));
    }
}
