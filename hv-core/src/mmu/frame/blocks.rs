//! 2 MiB blocks and what is free in each.
//!
//! A block is *whole* (all of it free), or cut into small (4 KiB) or large (64 KiB) pieces; the cut is a preference that keeps
//! the kinds apart, not a rule: a small piece may come out of a large block when nothing else is left. The bit of a free page is set. Blocks with
//! something free stand in one of three doubly linked lists, so that taking and putting look at a bounded number of words.

use super::extent::Extent;
use super::free::{Free, PAGES, Run, Span};
use crate::mmu::pins::MAX_CPUS;
use ppc64_arch::addr::{HostReal, LeafSize};

/// Free pages above which a CPU may keep a whole block for itself: what all of them can keep so is no more than that.
const PLENTY: u64 = MAX_CPUS as u64 * PAGES as u64;
const NONE: u32 = u32::MAX;

/// Which list a block stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Cut {
    Whole = 0,
    Small = 1,
    Large = 2,
}

/// What is known of 2 MiB of host memory.
#[derive(Debug)]
pub struct Block {
    free: Free,
    free_pages: u32,
    next: u32,
    previous: u32,
    cut: Cut,
    listed: bool,
}

impl Block {
    /// A block of which nothing is free.
    #[must_use]
    pub const fn new() -> Self {
        Self { free: Free::NONE, free_pages: 0, next: NONE, previous: NONE, cut: Cut::Small, listed: false }
    }

    fn take_page(&mut self) -> Option<u32> {
        let page = self.free.take_page()?;
        self.free_pages -= 1;
        Some(page)
    }

    fn take_lane(&mut self) -> Option<u32> {
        let page = self.free.take_lane()?;
        self.free_pages -= Free::LANE_PAGES;
        Some(page)
    }

    /// Marks `count` pages from `page` free; false, and nothing changed, if one of them is already.
    fn put(&mut self, page: u32, count: u32) -> bool {
        let span = Span::new(page, count);
        let put = self.free.put(span);
        self.free_pages += if put { count } else { 0 };
        put
    }
}

impl Default for Block {
    fn default() -> Self {
        Self::new()
    }
}

/// All blocks, their lists, and where block 0 stands.
#[derive(Debug)]
pub(super) struct Blocks {
    base: HostReal,
    blocks: &'static mut [Block],
    heads: [u32; 3],
    free_pages: u64,
    double_frees: u64,
}

impl Blocks {
    pub(super) fn new(base: HostReal, blocks: &'static mut [Block]) -> Self {
        debug_assert!(base.is_aligned(LeafSize::Size2M));
        Self { base, blocks, heads: [NONE; 3], free_pages: 0, double_frees: 0 }
    }

    pub(super) const fn free_pages(&self) -> u64 {
        self.free_pages
    }

    pub(super) const fn double_frees(&self) -> u64 {
        self.double_frees
    }

    pub(super) fn give(&mut self, from: HostReal, to: HostReal) -> u64 {
        let before = self.free_pages;
        let mut at = from.align_up(LeafSize::Size4K).unwrap_or(to).max(self.base);
        while let Some((end, index, page, count)) = self.piece(at, to) {
            if self.put_in(index, page, count) {
                self.free_pages += u64::from(count);
            }
            at = end;
        }
        (self.free_pages - before) * LeafSize::Size4K.bytes()
    }

    /// The next piece of `at..to` to give: a block of which nothing is free yet, or a page. Its end, block, first page and page count.
    fn piece(&self, at: HostReal, to: HostReal) -> Option<(HostReal, u32, u32, u32)> {
        let (index, page) = self.place(at)?;
        let empty = page == 0 && self.blocks[index as usize].free_pages == 0;
        let fits = |size: LeafSize| at.checked_add(size.bytes()).filter(|end| *end <= to);
        if let Some(end) = fits(LeafSize::Size2M).filter(|_| empty) {
            return Some((end, index, page, PAGES));
        }
        Some((fits(LeafSize::Size4K)?, index, page, 1))
    }

    pub(super) fn take(&mut self, size: LeafSize) -> Option<HostReal> {
        let (index, page) = match size {
            LeafSize::Size4K => self.take_small()?,
            LeafSize::Size64K => self.take_large()?,
            LeafSize::Size2M => (self.take_whole()?, 0),
            LeafSize::Size1G => return None,
        };
        self.free_pages -= size.bytes() / LeafSize::Size4K.bytes();
        self.address(index, page)
    }

    /// Free pages of one block, taken together so that their CPU need not come back soon: all that it has, or a word of them when memory is no longer
    /// plentiful.
    pub(super) fn take_run(&mut self) -> Option<Run> {
        let index = self.any_small()?;
        let block = &mut self.blocks[index as usize];
        let taken = if self.free_pages > PLENTY { block.free.take_all() } else { block.free.take_word() };
        block.free_pages -= taken.count();
        self.free_pages -= u64::from(taken.count());
        self.unlink_if_empty(index);
        Some(Run::new(self.address(index, 0)?, taken))
    }

    fn address(&self, index: u32, page: u32) -> Option<HostReal> {
        let offset = u64::from(index) * LeafSize::Size2M.bytes() + u64::from(page) * LeafSize::Size4K.bytes();
        self.base.checked_add(offset)
    }

    pub(super) fn put(&mut self, at: HostReal, size: LeafSize) {
        let count = (size.bytes() / LeafSize::Size4K.bytes()) as u32;
        let taken_back = match self.place(at) {
            Some((index, page)) => self.put_in(index, page, count),
            None => false,
        };
        if taken_back {
            self.free_pages += u64::from(count);
        } else {
            self.double_frees += 1;
        }
    }

    /// Which block and page an address is, if the pool spans it.
    fn place(&self, at: HostReal) -> Option<(u32, u32)> {
        let offset = at.offset_from(self.base)?;
        let index = (offset / LeafSize::Size2M.bytes()) as usize;
        let page = (offset & LeafSize::Size2M.offset_mask()) / LeafSize::Size4K.bytes();
        (index < self.blocks.len()).then_some((index as u32, page as u32))
    }

    fn put_in(&mut self, index: u32, page: u32, count: u32) -> bool {
        let block = &mut self.blocks[index as usize];
        if !block.put(page, count) {
            return false;
        }
        let whole = block.free_pages == PAGES;
        if block.listed && whole {
            self.unlink(index);
        }
        let block = &mut self.blocks[index as usize];
        if whole {
            block.cut = Cut::Whole;
        }
        if !block.listed {
            self.link(index);
        }
        true
    }

    fn take_small(&mut self) -> Option<(u32, u32)> {
        let index = self.any_small()?;
        let page = self.blocks[index as usize].take_page()?;
        self.unlink_if_empty(index);
        Some((index, page))
    }

    /// The block that small pieces come out of.
    fn any_small(&mut self) -> Option<u32> {
        self.head(Cut::Small).or_else(|| self.cut_whole(Cut::Small)).or_else(|| self.head(Cut::Large))
    }

    fn take_large(&mut self) -> Option<(u32, u32)> {
        while let Some(index) = self.head(Cut::Large).or_else(|| self.cut_whole(Cut::Large)) {
            if let Some(page) = self.blocks[index as usize].take_lane() {
                self.unlink_if_empty(index);
                return Some((index, page));
            }
            // No whole piece is left in it: what remains serves small frames. Each block moves once, so this ends.
            self.move_to(index, Cut::Small);
        }
        self.take_lane_of_small()
    }

    /// A large piece out of one of the first few blocks that were cut small.
    fn take_lane_of_small(&mut self) -> Option<(u32, u32)> {
        const LOOK_AT: usize = 8;
        let mut index = self.heads[Cut::Small as usize];
        for _ in 0..LOOK_AT {
            let block = self.blocks.get_mut(index as usize)?;
            if let Some(page) = block.take_lane() {
                self.unlink_if_empty(index);
                return Some((index, page));
            }
            index = block.next;
        }
        None
    }

    fn take_whole(&mut self) -> Option<u32> {
        let index = self.head(Cut::Whole)?;
        self.take_all(index);
        Some(index)
    }

    /// Takes a whole block out of its list, and all of its pages.
    fn take_all(&mut self, index: u32) {
        self.unlink(index);
        let block = &mut self.blocks[index as usize];
        block.free = Free::NONE;
        block.free_pages = 0;
        block.cut = Cut::Small;
    }

    /// Whole blocks side by side, of which the first is aligned.
    pub(super) fn take_extent(&mut self, bytes: u64, align: u64) -> Option<Extent> {
        let blocks = Extent::blocks_of(bytes);
        let first = self.find_extent(blocks, align)?;
        (first..first + blocks as u32).for_each(|index| self.take_all(index));
        self.free_pages -= blocks as u64 * u64::from(PAGES);
        Some(Extent::of(self.address(first, 0)?, blocks))
    }

    fn find_extent(&self, blocks: usize, align: u64) -> Option<u32> {
        let is_aligned = |index: u32| self.address(index, 0).is_some_and(|at| at.raw() & align.wrapping_sub(1) == 0);
        let (mut first, mut found) = (None, 0);
        for (index, block) in (0..).zip(self.blocks.iter()) {
            if block.free_pages != PAGES {
                (first, found) = (None, 0);
                continue;
            }
            if first.is_none() && is_aligned(index) {
                first = Some(index);
            }
            found += usize::from(first.is_some());
            if blocks != 0 && found == blocks {
                return first;
            }
        }
        None
    }

    fn cut_whole(&mut self, cut: Cut) -> Option<u32> {
        let index = self.head(Cut::Whole)?;
        self.move_to(index, cut);
        Some(index)
    }

    fn move_to(&mut self, index: u32, cut: Cut) {
        self.unlink(index);
        self.blocks[index as usize].cut = cut;
        self.link(index);
    }

    fn unlink_if_empty(&mut self, index: u32) {
        if self.blocks[index as usize].free_pages == 0 {
            self.unlink(index);
        }
    }

    fn head(&self, cut: Cut) -> Option<u32> {
        let head = self.heads[cut as usize];
        (head != NONE).then_some(head)
    }

    fn link(&mut self, index: u32) {
        let cut = self.blocks[index as usize].cut as usize;
        let head = core::mem::replace(&mut self.heads[cut], index);
        if head != NONE {
            self.blocks[head as usize].previous = index;
        }
        let block = &mut self.blocks[index as usize];
        (block.next, block.previous, block.listed) = (head, NONE, true);
    }

    fn unlink(&mut self, index: u32) {
        let block = &mut self.blocks[index as usize];
        let (next, previous, cut) = (block.next, block.previous, block.cut as usize);
        block.listed = false;
        if previous == NONE {
            self.heads[cut] = next;
        } else {
            self.blocks[previous as usize].next = next;
        }
        if next != NONE {
            self.blocks[next as usize].previous = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn pool(blocks: usize) -> Blocks {
        let storage = (0..blocks).map(|_| Block::new()).collect::<Vec<_>>();
        Blocks::new(HostReal::new(0x20_0000), Vec::leak(storage))
    }

    fn full_pool(blocks: usize) -> Blocks {
        let mut pool = pool(blocks);
        let end = HostReal::new(0x20_0000 * (blocks as u64 + 1));
        assert_eq!(pool.give(HostReal::new(0x20_0000), end), 0x20_0000 * blocks as u64);
        pool
    }

    #[test]
    fn a_whole_block_comes_back_whole() {
        let mut pool = full_pool(1);
        let small: Vec<_> = std::iter::from_fn(|| pool.take(LeafSize::Size4K)).collect();
        assert_eq!(small.len(), 512);
        assert_eq!(pool.take(LeafSize::Size2M), None);
        for at in small {
            pool.put(at, LeafSize::Size4K);
        }
        assert_eq!(pool.take(LeafSize::Size2M), Some(HostReal::new(0x20_0000)));
    }

    #[test]
    fn memory_given_twice_or_outside_is_not_counted() {
        let mut pool = full_pool(2);
        assert_eq!(pool.give(HostReal::new(0), HostReal::new(0x100_0000)), 0);
        assert_eq!(pool.free_pages(), 1024);
    }

    #[test]
    fn partial_pages_at_the_ends_are_left_out() {
        let mut pool = pool(1);
        assert_eq!(pool.give(HostReal::new(0x20_0001), HostReal::new(0x20_3fff)), 0x2000);
    }

    #[test]
    fn a_run_is_a_block_while_there_are_plenty_and_a_word_of_one_later() {
        let blocks = MAX_CPUS + 3;
        let mut pool = full_pool(blocks);
        let runs: Vec<usize> = std::iter::from_fn(|| pool.take_run()).map(Iterator::count).collect();
        let (whole, words) = runs.split_at(3);
        assert!(whole.iter().all(|frames| *frames == PAGES as usize), "{whole:?}");
        assert!(words.iter().all(|frames| *frames == 64), "{words:?}");
        assert_eq!((runs.iter().sum::<usize>(), pool.free_pages()), (blocks * PAGES as usize, 0));
    }

    #[test]
    fn the_frames_of_a_run_are_those_that_were_free() {
        let mut pool = full_pool(1);
        let large = pool.take(LeafSize::Size64K).expect("a frame");
        let frames: Vec<Frame> = std::iter::from_fn(|| pool.take_run()).flatten().collect();
        assert_eq!(frames.len(), (PAGES - Free::LANE_PAGES) as usize);
        assert!(frames.iter().all(|frame| frame.at().align_down(LeafSize::Size64K) != large));
        frames.into_iter().for_each(|frame| pool.put(frame.at(), frame.size()));
        pool.put(large, LeafSize::Size64K);
        assert_eq!((pool.take(LeafSize::Size2M).is_some(), pool.double_frees()), (true, 0));
    }

    #[test]
    fn a_frame_given_back_twice_is_refused_and_counted() {
        let mut pool = full_pool(1);
        let at = pool.take(LeafSize::Size64K).expect("a frame");
        pool.put(at, LeafSize::Size64K);
        pool.put(at, LeafSize::Size64K);
        pool.put(HostReal::new(0x1000), LeafSize::Size4K);
        assert_eq!((pool.double_frees(), pool.free_pages()), (2, 512));
    }

    #[test]
    fn an_extent_is_whole_blocks_side_by_side_and_aligned() {
        // Blocks at 2, 4, 6, 8, 10 and 12 MiB.
        let mut pool = full_pool(6);
        let extent = pool.take_extent(3 << 20, 8 << 20).expect("an extent");
        assert_eq!((extent.at().raw(), extent.bytes()), (8 << 20, 4 << 20));
        assert_eq!((pool.free_pages(), pool.take_extent(8 << 20, 1)), (4 * 512, None));
        assert_eq!(pool.take_extent(0, 1), None);
        let rest = pool.take_extent(6 << 20, 2 << 20).expect("what is below");
        assert_eq!((rest.at().raw(), pool.take_extent(2 << 20, 16 << 20)), (2 << 20, None));
        rest.each().chain(extent.each()).for_each(|at| pool.put(at, LeafSize::Size2M));
        assert_eq!((pool.free_pages(), pool.double_frees()), (6 * 512, 0));
        assert!(pool.take_extent(12 << 20, 2 << 20).is_some());
    }

    #[test]
    fn no_extent_contains_a_block_of_which_a_page_is_in_use() {
        let mut pool = full_pool(3);
        let whole = [(); 3].map(|()| pool.take(LeafSize::Size2M).expect("a block"));
        let (middle, page) = (HostReal::new(0x40_0000), HostReal::new(0x40_0000 + 7 * 4096));
        whole.into_iter().filter(|at| *at != middle).for_each(|at| pool.put(at, LeafSize::Size2M));
        (0..512).map(|page| HostReal::new(middle.raw() + page * 4096)).filter(|at| *at != page).for_each(|at| {
            pool.put(at, LeafSize::Size4K);
        });
        assert_eq!(pool.take_extent(4 << 20, 1), None);
        pool.put(page, LeafSize::Size4K);
        assert!(pool.take_extent(6 << 20, 1).is_some());
    }

    proptest! {
        #[test]
        fn frames_never_overlap_and_all_come_back(steps in prop::collection::vec((0usize..4, 0usize..64), 1..400)) {
            let mut pool = full_pool(3);
            let mut held: BTreeMap<u64, LeafSize> = BTreeMap::new();
            for (what, pick) in steps {
                if what == 3 {
                    if let Some((&at, &size)) = held.iter().nth(pick % held.len().max(1)) {
                        held.remove(&at);
                        pool.put(HostReal::new(at), size);
                    }
                } else if let Some(at) = pool.take(LeafSize::ALL[what]) {
                    prop_assert!(at.is_aligned(LeafSize::ALL[what]));
                    let before = held.range(..=at.raw()).next_back();
                    prop_assert!(before.is_none_or(|(b, s)| b + s.bytes() <= at.raw()));
                    let after = held.range(at.raw()..).next();
                    prop_assert!(after.is_none_or(|(a, _)| at.raw() + LeafSize::ALL[what].bytes() <= *a));
                    held.insert(at.raw(), LeafSize::ALL[what]);
                }
            }
            let out: u64 = held.values().map(|size| size.bytes() / 4096).sum();
            prop_assert_eq!(pool.free_pages() + out, 3 * 512);
            for (at, size) in held {
                pool.put(HostReal::new(at), size);
            }
            prop_assert_eq!((pool.free_pages(), pool.double_frees()), (3 * 512, 0));
            prop_assert!((0..3).all(|_| pool.take(LeafSize::Size2M).is_some()));
        }
    }
}
