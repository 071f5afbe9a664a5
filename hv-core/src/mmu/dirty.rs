//! The dirty log: which pages of a slot were written since the last harvest.
//!
//! It works by write protection, since hardware may not set C. A slot whose log is on holds no leaf with W but those of pages that are in the log already; a store to
//! any other faults, and the fault marks the page. Huge leaves are split where they are written.
//!
//! ```text
//!   directory    | frame, summary | frame, summary | ...      one pair for 128 MiB: a frame of bits, and which of its 64 regions of 2 MiB have any
//!   frame        8 words for each region, one bit a page of 4 KiB
//! ```
//!
//! Frames of bits come when the first page of their 128 MiB is written, so an untouched part of a slot costs nothing.
//!
//! # Order
//!
//! ```text
//!   fault:    entry := W ;  bit := 1 ;  summary := 1
//!   harvest:  summary := 0 ;  bits := 0 ;  entry := no W ;  flush ;  grace
//! ```
//!
//! A fault marks after its swap and before its guest goes on. All marks are read-modify-writes: if the harvest's comes later it sees the bit, and (acquire, release) the entry that permits the
//! store; if it comes earlier the bit stays for the next harvest. A plain test before the mark could read a bit that is just being taken.

use super::frame::{Frame, Memory};
use super::hardware::Hardware;
use super::slot::SlotView;
use crate::sync::{AtomicU64, Ordering};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

const PAGE: u64 = LeafSize::Size4K.bytes();
/// Pages of a word, and of a region.
const WORD: u64 = u64::BITS as u64;
const REGION_WORDS: u64 = 8;
const REGIONS: u64 = 64;
/// Words of a frame, and bytes of memory that its bits stand for.
const FRAME_WORDS: u64 = REGIONS * REGION_WORDS;
const FRAME_SPAN: u64 = FRAME_WORDS * WORD * PAGE;
/// No frame: host real address 0 is never in a pool.
const NONE: u64 = 0;

/// Why a log was not switched, or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// No slot begins there.
    NoSuchSlot,
    /// It is on already.
    AlreadyOn,
    /// It is off.
    Off,
    /// No frame was left for its directory, or the slot is larger than the largest directory (16 TiB).
    OutOfMemory,
}

/// The log of one slot, for as long as the pin or the lock under which the slot was read.
pub(super) struct Log<'a, H> {
    memory: &'a Memory<H>,
    directory: HostReal,
    base: u64,
    bytes: u64,
}

/// Where a page's bit stands: looked up once, for whoever asks whether it has a frame and then sets it.
pub(super) struct Spot<'a> {
    word: &'a AtomicU64,
    summary: &'a AtomicU64,
    /// Which bit of the word is the page's, and which of the summary its region's.
    bit: u64,
    region: u64,
}

impl Spot<'_> {
    /// The page was written, or is about to be, and with it all of its leaf of `size`. To be called after the swap that permits it.
    #[inline(always)]
    pub fn mark(&self, size: LeafSize) {
        self.mark_pages(match size {
            LeafSize::Size4K => 1 << self.bit,
            LeafSize::Size64K => 0xffff << (self.bit & !0xf),
            LeafSize::Size2M | LeafSize::Size1G => u64::MAX,
        });
    }

    #[inline(always)]
    fn mark_pages(&self, bits: u64) {
        // Release: the entry that permits the store before the bit, and the bit before the summary.
        self.word.fetch_or(bits, Ordering::Release);
        self.summary.fetch_or(1 << self.region, Ordering::Release);
    }
}

impl<'a, H: Hardware> Log<'a, H> {
    /// The log of a slot, if it is on.
    pub fn of(memory: &'a Memory<H>, slot: &SlotView) -> Option<Self> {
        Some(Self { memory, directory: slot.log()?, base: slot.base, bytes: slot.end - slot.base })
    }

    /// How large a directory a slot of so many bytes needs.
    pub fn directory_size(bytes: u64) -> Option<LeafSize> {
        let needed = bytes.div_ceil(FRAME_SPAN) * 16;
        [LeafSize::Size4K, LeafSize::Size64K, LeafSize::Size2M].into_iter().find(|size| needed <= size.bytes())
    }

    fn frames(&self) -> u64 {
        self.bytes.div_ceil(FRAME_SPAN)
    }

    fn directory(&self) -> &[AtomicU64] {
        // SAFETY: 1. The directory lives while the slot names it, which the pin or lock of whoever read the slot keeps so.
        unsafe { self.memory.hardware.entries(self.directory, self.frames() as usize * 2) }
    }

    /// The words of frame number `frame`, as many as the slot has pages for.
    fn words(&self, frame: u64) -> Option<&[AtomicU64]> {
        // Acquire: pairs with the release of whoever put the zeroed frame there.
        let at = self.directory()[frame as usize * 2].load(Ordering::Acquire);
        let pages = (self.bytes - frame * FRAME_SPAN).min(FRAME_SPAN).div_ceil(PAGE);
        // SAFETY: 1. As for the directory, which owns it.
        (at != NONE).then(|| unsafe { self.memory.hardware.entries(HostReal::new(at), pages.div_ceil(WORD) as usize) })
    }

    /// Where the bit of `at` stands, if there is a frame for it.
    #[inline(always)]
    pub fn spot(&self, at: GuestReal) -> Option<Spot<'_>> {
        let offset = at.raw().wrapping_sub(self.base);
        if offset >= self.bytes {
            return None;
        }
        let page = offset / PAGE;
        let word = page % (FRAME_WORDS * WORD) / WORD;
        let [frame, summary] = self.pair(offset / FRAME_SPAN);
        // Acquire: pairs with the release of whoever put the zeroed frame there.
        let frame = frame.load(Ordering::Acquire);
        if frame == NONE {
            return None;
        }
        // SAFETY: 1. As for the directory, which owns it. 2. A frame has more words than any page of it counts to.
        let words = unsafe { self.memory.hardware.entries(HostReal::new(frame), word as usize + 1) };
        Some(Spot { word: &words[word as usize], summary, bit: page % WORD, region: word / REGION_WORDS })
    }

    /// What the directory says of frame number `frame`, which lies in the slot: its address, and its summary.
    #[inline(always)]
    fn pair(&self, frame: u64) -> [&AtomicU64; 2] {
        let at = frame as usize * 2;
        // SAFETY: 1. As in `directory`. 2. That far it goes, since the slot does.
        let pair = &unsafe { self.memory.hardware.entries(self.directory, at + 2) }[at..];
        [&pair[0], &pair[1]]
    }

    /// Gives the bits around `at` a frame of zeros, or gives it back if another CPU was faster.
    pub fn add(&self, at: GuestReal, frame: Frame) -> Result<(), Frame> {
        let cell = &self.directory()[((at.raw() - self.base) / FRAME_SPAN) as usize * 2];
        // Release: the zeros before the address. Relaxed on failure: the frame that is there is read by `words`.
        if cell.compare_exchange(NONE, frame.at().raw(), Ordering::Release, Ordering::Relaxed).is_err() {
            return Err(frame);
        }
        let _owned_by_directory = frame.into_entry();
        Ok(())
    }

    /// Marks every spot of the page of `size` at `at`, which has a frame. A huge leaf does not permit stores while the log is on, but nothing here depends on it.
    pub fn mark(&self, at: GuestReal, size: LeafSize) {
        let first = at.align_down(size).raw();
        for at in (first..first + size.bytes()).step_by((WORD * PAGE) as usize) {
            if let Some(spot) = self.spot(GuestReal::new(at)) {
                spot.mark(size);
            }
        }
    }

    /// Takes every group of 64 pages that has a dirty one: the address of its first page, and the bits.
    pub fn take(&self, mut each: impl FnMut(GuestReal, u64)) {
        for frame in 0..self.frames() {
            // Acquire: pairs with the release in `mark`; whoever's summary is taken has set its bit.
            let mut regions = self.directory()[frame as usize * 2 + 1].swap(0, Ordering::Acquire);
            let Some(words) = self.words(frame).filter(|_| regions != 0) else { continue };
            while regions != 0 {
                let first = u64::from(regions.trailing_zeros()) * REGION_WORDS;
                regions &= regions - 1;
                for word in (first..first + REGION_WORDS).take_while(|word| (*word as usize) < words.len()) {
                    // Acquire: likewise; whoever's bit is taken has made its swap.
                    let bits = words[word as usize].swap(0, Ordering::Acquire);
                    let page = frame * FRAME_WORDS * WORD + word * WORD;
                    if bits != 0 {
                        each(GuestReal::new(self.base + page * PAGE), bits);
                    }
                }
            }
        }
    }

    /// Gives back every frame of bits, and the directory. Nobody reads the log any more.
    pub fn dissolve(self, mut put: impl FnMut(Frame)) {
        for frame in 0..self.frames() {
            let at = self.directory()[frame as usize * 2].swap(NONE, Ordering::Acquire);
            if at != NONE {
                // SAFETY: 1. The directory owned it, and nobody looks there any more.
                put(unsafe { Frame::from_entry(HostReal::new(at), LeafSize::Size4K) });
            }
        }
        if let Some(size) = Self::directory_size(self.bytes) {
            // SAFETY: 1. It was taken at this size when the log was switched on.
            put(unsafe { Frame::from_entry(self.directory, size) });
        }
    }
}
