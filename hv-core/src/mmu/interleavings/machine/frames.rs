//! Host memory that tells when it is accessed wrongly.
//!
//! Contents are plain bytes, read and written in the order in which the model runs. Whether that order was enforced is what two watches per frame tell:
//!
//! ```text
//!   access                                      `owner`      `steady`
//!   ──────                                      ───────      ────────
//!   by its owner: zeroed, filled, taken over    exclusive    -
//!   copied or compressed by its owner           shared       exclusive
//!   by the guest, or for it: load               shared       -
//!   by the guest, or for it: store              shared       shared
//! ```
//!
//! So loads and stores of guests may run against each other, nothing may run against a frame that changes hands, and no store may run against a copy.

use super::watch::Watch;
use crate::sync::{AtomicU64, Ordering};
use core::ops::Range;
use ppc64_arch::addr::{HostReal, LeafSize};

/// Where host memory begins.
pub const BASE: u64 = 0x20_0000;
/// Frames of 4 KiB. Under shuttle each CPU keeps as many at hand as on real machines.
pub const FRAMES: u64 = if cfg!(loom) { 16 } else { 512 };
/// The first of them hold the image.
pub const IMAGE_FRAMES: u64 = 2;
/// Doublewords of a frame that is a table, a log's directory or its bitmap.
const WORDS: usize = 4;

pub const PAGE: u64 = LeafSize::Size4K.bytes();

/// One frame.
struct Page {
    words: [AtomicU64; WORDS],
    owner: Watch,
    steady: Watch,
}

/// All frames.
pub struct Frames {
    pages: Vec<Page>,
    contents: core::cell::UnsafeCell<Vec<u8>>,
}

impl Frames {
    /// Frames full of rubbish, but for the image, each page of which begins with a word of `image`.
    pub fn new(image: [u64; IMAGE_FRAMES as usize]) -> Self {
        let page = |_| Page {
            words: core::array::from_fn(|_| AtomicU64::new(u64::MAX)),
            owner: Watch::new(),
            steady: Watch::new(),
        };
        let mut contents = vec![0xdd; (FRAMES * PAGE) as usize];
        for (page, word) in contents.chunks_mut(PAGE as usize).zip(image) {
            page[..8].copy_from_slice(&word.to_le_bytes());
        }
        Self { pages: (0..FRAMES).map(page).collect(), contents: core::cell::UnsafeCell::new(contents) }
    }

    fn pages(&self, range: Range<u64>) -> &[Page] {
        let index = |at: u64| ((at - BASE) / PAGE) as usize;
        &self.pages[index(range.start)..=index(range.end - 1)]
    }

    fn start(&self, range: &Range<u64>) -> *mut u8 {
        // SAFETY: 1. The slice access below checks the range; the pointer does not outlive the frames. 2. A model runs on one thread of the host.
        unsafe { (&mut *self.contents.get())[(range.start - BASE) as usize..(range.end - BASE) as usize].as_mut_ptr() }
    }

    /// The doublewords of a table. Whoever follows a link to it has to see it zeroed: a watch finds a race if the link did not order that.
    pub fn words(&self, at: HostReal, count: usize) -> &[AtomicU64] {
        let [page] = self.pages(at.raw()..at.raw() + 1) else { unreachable!("one page") };
        page.owner.shared();
        &page.words[..count]
    }

    /// For its owner alone: zeroed or filled.
    pub fn own(&self, at: HostReal, bytes: u64) -> *mut u8 {
        let range = at.raw()..at.raw() + bytes;
        self.pages(range.clone()).iter().for_each(|page| page.owner.exclusive());
        self.start(&range)
    }

    /// For its owner to copy: nobody stores to it. The image, which nobody ever stores to, many may copy at once.
    pub fn still(&self, at: HostReal, bytes: u64) -> *const u8 {
        let range = at.raw()..at.raw() + bytes;
        for page in self.pages(range.clone()) {
            page.owner.shared();
            if !is_image(range.start) {
                page.steady.exclusive();
            }
        }
        self.start(&range)
    }

    /// A load by the guest, or for it.
    pub fn load(&self, at: HostReal, bytes: u64) -> *const u8 {
        let range = at.raw()..at.raw() + bytes;
        self.pages(range.clone()).iter().for_each(|page| page.owner.shared());
        self.start(&range)
    }

    /// A store by the guest, or for it.
    pub fn store(&self, at: HostReal, bytes: u64) -> *mut u8 {
        let range = at.raw()..at.raw() + bytes;
        assert!(!is_image(range.start), "a store to the image");
        for page in self.pages(range.clone()) {
            page.owner.shared();
            page.steady.shared();
        }
        self.start(&range)
    }

    /// Zeroes whole frames, as tables and as pages.
    pub fn zero(&self, at: HostReal, bytes: u64) {
        // SAFETY: 1. `own` checked the range.
        unsafe { self.own(at, bytes).write_bytes(0, bytes as usize) };
        for word in self.pages(at.raw()..at.raw() + bytes).iter().flat_map(|page| &page.words) {
            // Relaxed: the link that makes a table reachable orders it, which `words` checks.
            word.store(0, Ordering::Relaxed);
        }
    }
}

fn is_image(at: u64) -> bool {
    at < BASE + IMAGE_FRAMES * PAGE
}
