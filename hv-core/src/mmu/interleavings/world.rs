//! A machine with one guest, made anew for each run of a model.

use super::machine::{BASE, FRAMES, IMAGE_FRAMES, Machine, PAGE, TOP};
use crate::mmu::frame::Block;
use crate::mmu::space::Config;
use crate::mmu::{Frame, FramePool, Granule, Memory, SlotSpec, Source, Space};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// The first of two pages of zeros.
pub const ZERO_PAGE: u64 = 0;
/// The first of two pages of an image.
pub const IMAGE_PAGE: u64 = 0x2000;

/// Bytes that are free when nothing but the root is taken.
pub const FREE_AT_FIRST: u64 = (FRAMES - IMAGE_FRAMES - 1) * PAGE;

/// What a guest is like in the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How large its leaves are made.
    pub granule: LeafSize,
    /// Whether it has a budget, and with it a store.
    pub budget: bool,
    /// Whether the hardware sets R.
    pub sets_reference: bool,
    /// How many pages of zeros there are from [`ZERO_PAGE`] on.
    pub zeros: u64,
    /// How many pages of the image there are from [`IMAGE_PAGE`] on.
    pub image: u64,
}

/// Two pages of zeros, one of an image, small leaves, and a store.
pub const SMALL: Setup = Setup { granule: LeafSize::Size4K, budget: true, sets_reference: true, zeros: 2, image: 1 };
/// The same with huge leaves, and without a store.
pub const HUGE: Setup = Setup { granule: LeafSize::Size2M, budget: false, ..SMALL };

/// The slot of `pages` pages at `base`.
pub fn slot(base: u64, pages: u64) -> SlotSpec {
    let bytes = pages * PAGE;
    let image = Source::Image { at: HostReal::new(BASE), bytes };
    let source = if base == IMAGE_PAGE { image } else { Source::Zero };
    SlotSpec { base: GuestReal::new(base), bytes, source, read_only: false }
}

/// A machine and a guest. Both live until this goes: a model runs thousands of times.
pub struct World<const B: bool> {
    space: *mut Space<'static, Machine<B>>,
    memory: *mut Memory<Machine<B>>,
    blocks: *mut [Block],
}

impl<const B: bool> World<B> {
    /// A guest as `setup` says.
    pub fn new(setup: &Setup) -> Self {
        let blocks = (0..FRAMES * PAGE / LeafSize::Size2M.bytes()).map(|_| Block::new()).collect::<Box<[_]>>();
        let blocks = Box::into_raw(blocks);
        // SAFETY: 1. The blocks live until `drop`, which ends the pool first.
        let pool = FramePool::new(HostReal::new(BASE), unsafe { &mut *blocks });
        // SAFETY: 1. The model's frames but the image's are given once.
        unsafe { pool.give(HostReal::new(BASE + IMAGE_FRAMES * PAGE), HostReal::new(BASE + FRAMES * PAGE)) };
        let memory = Box::into_raw(Box::new(Memory { hardware: Machine::new(setup.sets_reference), pool }));
        let budget = setup.budget.then_some(FRAMES * PAGE);
        let config = Config { granule: Granule::Fixed(setup.granule), top: &TOP, budget, hashed: None };
        // SAFETY: 1. The memory lives until `drop`, which ends the space first.
        let space = Space::build(unsafe { &*memory }, 1, &config).expect("a root");
        for (base, pages) in [(ZERO_PAGE, setup.zeros), (IMAGE_PAGE, setup.image)] {
            if pages != 0 {
                // SAFETY: 1. The image's frames are not in the pool.
                unsafe { space.add_slot(&slot(base, pages)) }.expect("a good slot");
            }
        }
        Self { space: Box::into_raw(Box::new(space)), memory, blocks }
    }

    /// The guest. Nothing that came of it may be used once the world is gone.
    pub fn space(&self) -> &'static Space<'static, Machine<B>> {
        // SAFETY: 1. It lives until `drop`, and every CPU has left it by then: whoever makes a world joins them.
        unsafe { &*self.space }
    }
}

impl<const B: bool> Drop for World<B> {
    fn drop(&mut self) {
        // SAFETY: 1. Each was made by `Box::into_raw` in `new` and is taken back once, users before what they use.
        unsafe {
            drop(Box::from_raw(self.space));
            drop(Box::from_raw(self.memory));
            drop(Box::from_raw(self.blocks));
        }
    }
}

/// Takes every frame that is free and gives it back: a frame that is somewhere else as well makes loom report a race.
pub fn touch_all_free<const B: bool>(memory: &Memory<Machine<B>>) {
    let frames: Vec<Frame> = core::iter::from_fn(|| memory.pool.take(LeafSize::Size4K)).collect();
    for mut frame in frames {
        frame.zero(&memory.hardware);
        memory.pool.put(frame);
    }
}
