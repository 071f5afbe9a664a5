//! The smallest machine that the fault path runs on.

use crate::mmu::{Flush, Frame, FramePool, Granule, Hardware, Memory, SlotSpec, Source, Space};
use crate::sync::AtomicU64;
use loom::cell::UnsafeCell;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::Level;

/// Where host memory begins.
const BASE: u64 = 0x20_0000;
/// Frames of 4 KiB; the first holds the image.
const FRAMES: usize = 8;
/// What the image's page says.
pub const IMAGE: u64 = 0x1111;

static PAGES: Level = Level { shift: 12, bits: 1, leaf: Some(LeafSize::Size4K), below: &[] };
/// Two levels of two entries: 16 KiB of guest real addresses.
static TOP: Level = Level { shift: 13, bits: 1, leaf: None, below: &[&PAGES] };

/// One frame: two doublewords if it is a table, one word of contents if it is a page.
struct Page {
    words: [AtomicU64; 2],
    contents: UnsafeCell<u64>,
}

/// Host memory. Flushes do nothing: no translation is cached.
pub struct Model {
    pages: Vec<Page>,
}

// SAFETY: 1. What the cells hold is accessed through loom, which finds every race.
unsafe impl Sync for Model {}
// SAFETY: 1. As above.
unsafe impl Send for Model {}

impl Model {
    fn page(&self, at: HostReal) -> &Page {
        &self.pages[((at.raw() - BASE) / LeafSize::Size4K.bytes()) as usize]
    }

    fn set(&self, at: HostReal, value: u64) {
        // SAFETY: 1. loom checks that nobody else is at the cell.
        self.page(at).contents.with_mut(|contents| unsafe { *contents = value });
    }

    fn get(&self, at: HostReal) -> u64 {
        // SAFETY: 1. loom checks that nobody writes the cell.
        self.page(at).contents.with(|contents| unsafe { *contents })
    }
}

// SAFETY: 1. Addresses reach the frames they name. 2. Nothing is cached, so a flush is complete at once. 3. A panic ends the model.
unsafe impl Hardware for Model {
    unsafe fn entries(&self, table: HostReal, count: usize) -> &[AtomicU64] {
        // Whoever follows a link to a table has to see it zeroed: loom finds a race if the link did not order that.
        let _zeroed = self.get(table);
        &self.page(table).words[..count]
    }

    unsafe fn zero(&self, at: HostReal, _bytes: u64) {
        self.set(at, 0);
        for word in &self.page(at).words {
            word.store(0, crate::sync::Ordering::Relaxed);
        }
    }

    unsafe fn copy(&self, to: HostReal, from: HostReal, _bytes: u64) {
        self.set(to, self.get(from));
    }

    unsafe fn make_executable(&self, _at: HostReal, _bytes: u64) {}

    unsafe fn read(&self, at: HostReal, into: &mut [u8]) {
        into.copy_from_slice(&self.get(at).to_le_bytes()[..into.len()]);
    }

    unsafe fn write(&self, at: HostReal, from: &[u8]) {
        let mut bytes = [0; 8];
        bytes[..from.len()].copy_from_slice(from);
        self.set(at, u64::from_le_bytes(bytes));
    }

    fn flush(&self, _what: Flush) {}

    fn set_partition(&self, _lpid: u32, _scoped: u64, _process: u64) {}
}

/// A machine and a guest with two pages of zeros at 0 and one page of an image at 0x2000, leaked: a model's run is short.
pub fn guest() -> &'static Space<'static, Model> {
    let page = |_| Page { words: core::array::from_fn(|_| AtomicU64::new(0)), contents: UnsafeCell::new(0xdead) };
    let hardware = Model { pages: (0..FRAMES).map(page).collect() };
    hardware.set(HostReal::new(BASE), IMAGE);
    let pool = FramePool::new(HostReal::new(BASE), Vec::leak(vec![Default::default()]));
    // SAFETY: 1. The model's frames but the image's are given once.
    unsafe { pool.give(HostReal::new(BASE + 0x1000), HostReal::new(BASE + 0x1000 * FRAMES as u64)) };
    let memory = Box::leak(Box::new(Memory { hardware, pool }));
    let space = Space::with_geometry(memory, 1, Granule::Fixed(LeafSize::Size4K), &TOP).expect("a root");
    let image = Source::Image { at: HostReal::new(BASE), bytes: 0x1000 };
    for (base, bytes, source) in [(0, 0x2000, Source::Zero), (0x2000, 0x1000, image)] {
        let spec = SlotSpec { base: GuestReal::new(base), bytes, source, read_only: false };
        // SAFETY: 1. The image's frame is not in the pool.
        unsafe { space.add_slot(&spec) }.expect("a good slot");
    }
    Box::leak(Box::new(space))
}

/// Bytes that are free when nothing but the root is taken.
pub const FREE_AT_FIRST: u64 = (FRAMES as u64 - 2) * 0x1000;

/// Takes every frame that is free and gives it back: a frame that is somewhere else as well makes loom report a race.
pub fn touch_all_free(memory: &Memory<Model>) {
    let frames: Vec<Frame> = core::iter::from_fn(|| memory.pool.take(LeafSize::Size4K)).collect();
    for mut frame in frames {
        frame.zero(&memory.hardware);
        memory.pool.put(frame);
    }
}
