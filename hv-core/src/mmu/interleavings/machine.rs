//! The smallest machine that the fault path runs on.

use crate::mmu::{Flush, Frame, FramePool, Granule, Hardware, Memory, SlotSpec, Source, Space};
use crate::sync::AtomicU64;
use loom::cell::UnsafeCell;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::Level;

/// Where host memory begins.
const BASE: u64 = 0x20_0000;
/// Frames of 4 KiB; the first holds the image.
const FRAMES: usize = 10;
/// What the image's page says.
pub const IMAGE: u64 = 0x1111;

static PAGES: Level = Level { shift: 12, bits: 1, leaf: Some(LeafSize::Size4K), below: &[] };
/// Two levels of two entries: 16 KiB of guest real addresses.
static TOP: Level = Level { shift: 13, bits: 1, leaf: None, below: &[&PAGES] };

const PAGE: usize = LeafSize::Size4K.bytes() as usize;

/// One frame: two doublewords if it is a table, contents in one cell if it is a page.
struct Page {
    words: [AtomicU64; 2],
    contents: UnsafeCell<Box<[u8; PAGE]>>,
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

    /// Where the bytes at `at` are; loom sees a write to their frame.
    fn to_write(&self, at: HostReal) -> *mut u8 {
        let offset = (at.raw() % PAGE as u64) as usize;
        // SAFETY: 1. loom checks that nobody else is at the cell.
        self.page(at).contents.with_mut(|contents| unsafe { (*contents).as_mut_ptr().add(offset) })
    }

    /// The same for a read.
    fn to_read(&self, at: HostReal) -> *const u8 {
        let offset = (at.raw() % PAGE as u64) as usize;
        // SAFETY: 1. loom checks that nobody writes the cell.
        self.page(at).contents.with(|contents| unsafe { (*contents).as_ptr().add(offset) })
    }
}

// SAFETY: 1. Addresses reach the frames they name. 2. Nothing is cached, so a flush is complete at once. 3. A panic ends the model.
unsafe impl Hardware for Model {
    unsafe fn entries(&self, table: HostReal, count: usize) -> &[AtomicU64] {
        // Whoever follows a link to a table has to see it zeroed: loom finds a race if the link did not order that.
        let _zeroed = self.to_read(table);
        &self.page(table).words[..count]
    }

    unsafe fn zero(&self, at: HostReal, _bytes: u64) {
        // SAFETY: 1. A frame has that many bytes.
        unsafe { self.to_write(at).write_bytes(0, PAGE) };
        for word in &self.page(at).words {
            word.store(0, crate::sync::Ordering::Relaxed);
        }
    }

    unsafe fn copy(&self, to: HostReal, from: HostReal, _bytes: u64) {
        // SAFETY: 1. Two frames, which do not overlap.
        unsafe { self.to_write(to).copy_from_nonoverlapping(self.to_read(from), PAGE) };
    }

    unsafe fn make_executable(&self, _at: HostReal, _bytes: u64) {}

    unsafe fn read(&self, at: HostReal, into: &mut [u8]) {
        // SAFETY: 1. The range lies in one frame.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(self.to_read(at), into.len()) };
    }

    unsafe fn write(&self, at: HostReal, from: &[u8]) {
        // SAFETY: 1. The range lies in one frame.
        unsafe { self.to_write(at).copy_from_nonoverlapping(from.as_ptr(), from.len()) };
    }

    unsafe fn bytes(&self, at: HostReal, bytes: usize) -> &[u8] {
        // SAFETY: 1. The range lies in one frame. 2. The caller has it to itself.
        unsafe { core::slice::from_raw_parts(self.to_read(at), bytes) }
    }

    unsafe fn bytes_mut(&self, at: HostReal, bytes: usize) -> &mut [u8] {
        // SAFETY: 1. and 2. as above.
        unsafe { core::slice::from_raw_parts_mut(self.to_write(at), bytes) }
    }

    fn sets_reference(&self) -> bool {
        true
    }

    const BROADCAST: bool = true;

    fn flush(&self, _what: Flush) {}

    fn kick(&self, _cpu: usize) {}

    fn set_partition(&self, _lpid: u32, _scoped: u64, _process: u64) {}
}

/// A machine and a guest with two pages of zeros at 0 and one page of an image at 0x2000, leaked: a model's run is short.
pub fn guest() -> &'static Space<'static, Model> {
    let page = |_| Page {
        words: core::array::from_fn(|_| AtomicU64::new(0)),
        contents: UnsafeCell::new(Box::new([0xdd; PAGE])),
    };
    let hardware = Model { pages: (0..FRAMES).map(page).collect() };
    // SAFETY: 1. The image's frame is of no use to anybody yet.
    unsafe { hardware.write(HostReal::new(BASE), &IMAGE.to_le_bytes()) };
    let pool = FramePool::new(HostReal::new(BASE), Vec::leak(vec![Default::default()]));
    // SAFETY: 1. The model's frames but the image's are given once.
    unsafe { pool.give(HostReal::new(BASE + 0x1000), HostReal::new(BASE + 0x1000 * FRAMES as u64)) };
    let memory = Box::leak(Box::new(Memory { hardware, pool }));
    let space =
        Space::with_budget(memory, 1, Granule::Fixed(LeafSize::Size4K), &TOP, 0x1000 * FRAMES as u64).expect("a root");
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
