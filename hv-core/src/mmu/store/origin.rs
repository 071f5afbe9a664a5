//! What a slot is made of, page by page.

use super::{Page, PageStore, Reader, StoreError};
use crate::mmu::frame::{Frame, Memory};
use crate::mmu::hardware::Hardware;
use crate::mmu::slot::{SlotView, Source};
use crate::mmu::stats::Made;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// Zeros.
#[derive(Clone, Copy, Debug)]
pub struct Zero;

impl PageStore for Zero {
    #[inline(always)]
    fn fetch<H: Hardware>(
        &self,
        memory: &Memory<H>,
        _buffer: &mut Reader,
        page: Page,
        frame: &mut Frame,
    ) -> Result<Made, StoreError> {
        let Page::Untouched(_) = page else { return Err(StoreError::Gone) };
        frame.zero(&memory.hardware);
        Ok(Made::Zero)
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

impl PageStore for Image {
    #[inline(always)]
    fn share(&self, at: GuestReal, size: LeafSize) -> Option<HostReal> {
        let offset = self.offset(at, size)?;
        let frame = self.at.checked_add(offset)?;
        (frame.is_aligned(size) && offset + size.bytes() <= self.bytes).then_some(frame)
    }

    #[cold]
    fn fetch<H: Hardware>(
        &self,
        memory: &Memory<H>,
        buffer: &mut Reader,
        page: Page,
        frame: &mut Frame,
    ) -> Result<Made, StoreError> {
        let Page::Untouched(at) = page else { return Err(StoreError::Gone) };
        let Some((from, bytes)) = self.part(at, frame.size()) else { return Zero.fetch(memory, buffer, page, frame) };
        // SAFETY: 1. Whoever added the slot vouched for the image. 2. The part is no longer than the frame.
        unsafe { frame.fill(&memory.hardware, from, bytes) };
        Ok(Made::Copied)
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
    #[inline(always)]
    pub(in crate::mmu) fn origin(&self) -> SlotOrigin {
        match self.source() {
            Source::Zero => SlotOrigin::Zero(Zero),
            Source::Image { at, bytes } => SlotOrigin::Image(Image { base: self.base, at, bytes }),
        }
    }
}

impl PageStore for SlotOrigin {
    #[inline(always)]
    fn share(&self, at: GuestReal, size: LeafSize) -> Option<HostReal> {
        match self {
            Self::Zero(zero) => zero.share(at, size),
            Self::Image(image) => image.share(at, size),
        }
    }

    #[inline(always)]
    fn fetch<H: Hardware>(
        &self,
        memory: &Memory<H>,
        buffer: &mut Reader,
        page: Page,
        frame: &mut Frame,
    ) -> Result<Made, StoreError> {
        match self {
            Self::Zero(zero) => zero.fetch(memory, buffer, page, frame),
            Self::Image(image) => image.fetch(memory, buffer, page, frame),
        }
    }
}
