//! A machine with one guest, and the account that is drawn up when a run of it ends.

use super::machine::{BASE, FRAMES, IMAGE_FRAMES, Model, PAGE, TOP};
use crate::mmu::frame::Block;
use crate::mmu::{Frame, FramePool, Granule, Memory, SlotSpec, Source, Space};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// Two pages of zeros.
pub const ZERO_PAGE: u64 = 0;
/// A page of an image.
pub const IMAGE_PAGE: u64 = 0x2000;

/// Bytes that are free when nothing but the root is taken.
pub const FREE_AT_FIRST: u64 = (FRAMES - IMAGE_FRAMES - 1) * PAGE;

/// A machine and a guest. Both live until this goes: a model runs thousands of times.
pub struct World {
    space: *mut Space<'static, Model>,
    memory: *mut Memory<Model>,
    blocks: *mut [Block],
}

impl World {
    /// A guest with two pages of zeros at [`ZERO_PAGE`] and one page of an image at [`IMAGE_PAGE`].
    pub fn new() -> Self {
        let blocks = (0..FRAMES * PAGE / LeafSize::Size2M.bytes()).map(|_| Block::new()).collect::<Box<[_]>>();
        let blocks = Box::into_raw(blocks);
        // SAFETY: 1. The blocks live until `drop`, which ends the pool first.
        let pool = FramePool::new(HostReal::new(BASE), unsafe { &mut *blocks });
        // SAFETY: 1. The model's frames but the image's are given once.
        unsafe { pool.give(HostReal::new(BASE + IMAGE_FRAMES * PAGE), HostReal::new(BASE + FRAMES * PAGE)) };
        let memory = Box::into_raw(Box::new(Memory { hardware: Model::new(), pool }));
        let granule = Granule::Fixed(LeafSize::Size4K);
        // SAFETY: 1. The memory lives until `drop`, which ends the space first.
        let space = Space::with_budget(unsafe { &*memory }, 1, granule, &TOP, FRAMES * PAGE).expect("a root");
        let image = Source::Image { at: HostReal::new(BASE), bytes: PAGE };
        for (base, bytes, source) in [(ZERO_PAGE, 2 * PAGE, Source::Zero), (IMAGE_PAGE, PAGE, image)] {
            let spec = SlotSpec { base: GuestReal::new(base), bytes, source, read_only: false };
            // SAFETY: 1. The image's frames are not in the pool.
            unsafe { space.add_slot(&spec) }.expect("a good slot");
        }
        Self { space: Box::into_raw(Box::new(space)), memory, blocks }
    }

    /// The guest. Nothing that came of it may be used once the world is gone.
    pub fn space(&self) -> &'static Space<'static, Model> {
        // SAFETY: 1. It lives until `drop`, and every CPU has left it by then: `every_order` joins them.
        unsafe { &*self.space }
    }
}

impl Drop for World {
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
pub fn touch_all_free(memory: &Memory<Model>) {
    let frames: Vec<Frame> = core::iter::from_fn(|| memory.pool.take(LeafSize::Size4K)).collect();
    for mut frame in frames {
        frame.zero(&memory.hardware);
        memory.pool.put(frame);
    }
}
