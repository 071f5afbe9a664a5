//! What a slot is made of, page by page.

use crate::mmu::frame::Frame;
use crate::mmu::hardware::Hardware;
use crate::mmu::slot::{SlotView, Source};
use crate::mmu::stats::Made;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// Gives the pages that a guest touches for the first time.
pub trait Origin {
    /// Host memory that a leaf of `size` at `at`'s block may map as it is, read-only, if there is such.
    fn share(&self, at: GuestReal, size: LeafSize) -> Option<HostReal>;
    /// Fills `frame` with what belongs at `at`'s block of the frame's size, and tells what that was.
    fn fill<H: Hardware>(&self, hardware: &H, at: GuestReal, frame: &mut Frame) -> Made;
}

/// Zeros.
#[derive(Clone, Copy, Debug)]
pub struct Zero;

impl Origin for Zero {
    #[inline]
    fn share(&self, _at: GuestReal, _size: LeafSize) -> Option<HostReal> {
        None
    }

    #[inline]
    fn fill<H: Hardware>(&self, hardware: &H, _at: GuestReal, frame: &mut Frame) -> Made {
        frame.zero(hardware);
        Made::Zero
    }
}

/// Host memory from `at` on for the slot that begins at `base`, and zeros behind `bytes` bytes of it. Whoever added the slot vouched for the image.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    base: u64,
    at: HostReal,
    bytes: u64,
}

impl Image {
    /// How far `at`'s block of `size` lies into the image.
    fn offset(&self, at: GuestReal, size: LeafSize) -> Option<u64> {
        at.align_down(size).raw().checked_sub(self.base)
    }

    /// The part of the image that belongs to the block: where it stands and how long it is. `None`: zeros alone.
    #[must_use]
    pub fn part(&self, at: GuestReal, size: LeafSize) -> Option<(HostReal, u64)> {
        let offset = self.offset(at, size)?;
        let length = self.bytes.checked_sub(offset)?.min(size.bytes());
        Some((self.at.checked_add(offset)?, length)).filter(|_| length != 0)
    }
}

impl Origin for Image {
    #[inline]
    fn share(&self, at: GuestReal, size: LeafSize) -> Option<HostReal> {
        let offset = self.offset(at, size)?;
        let frame = self.at.checked_add(offset)?;
        (frame.is_aligned(size) && offset + size.bytes() <= self.bytes).then_some(frame)
    }

    fn fill<H: Hardware>(&self, hardware: &H, at: GuestReal, frame: &mut Frame) -> Made {
        let Some((from, bytes)) = self.part(at, frame.size()) else { return Zero.fill(hardware, at, frame) };
        // SAFETY: 1. Whoever added the slot vouched for the image. 2. The part is no longer than the frame.
        unsafe { frame.fill(hardware, from, bytes) };
        Made::Copied
    }
}

/// The origin of a slot's pages: one of the two, told apart once a fault.
#[derive(Clone, Copy, Debug)]
pub(in crate::mmu) enum SlotOrigin {
    Zero(Zero),
    Image(Image),
}

impl SlotView {
    /// Where its pages come from.
    #[inline]
    pub(in crate::mmu) fn origin(&self) -> SlotOrigin {
        match self.source {
            Source::Zero => SlotOrigin::Zero(Zero),
            Source::Image { at, bytes } => SlotOrigin::Image(Image { base: self.base, at, bytes }),
        }
    }
}

impl Origin for SlotOrigin {
    #[inline]
    fn share(&self, at: GuestReal, size: LeafSize) -> Option<HostReal> {
        match self {
            Self::Zero(zero) => zero.share(at, size),
            Self::Image(image) => image.share(at, size),
        }
    }

    #[inline]
    fn fill<H: Hardware>(&self, hardware: &H, at: GuestReal, frame: &mut Frame) -> Made {
        match self {
            Self::Zero(zero) => zero.fill(hardware, at, frame),
            Self::Image(image) => image.fill(hardware, at, frame),
        }
    }
}
