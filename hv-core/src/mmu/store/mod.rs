//! Where pages come from, and where they go when memory is short.
//!
//! | store | what it gives | what it takes |
//! | --- | --- | --- |
//! | [`Zero`] | zeros | nothing: every page of zeros is the same |
//! | [`Image`] | the image, shared where a leaf can map it, else a copy | nothing: it is read-only |
//! | [`Compressed`] | what was put there, once | pages that compress |
//!
//! The first two are what a slot is made of; the third holds single pages, named by a [`Handle`] that stands in the page's absent entry.

mod compressed;
mod fragments;
mod origin;

pub use compressed::{Compressed, Held, Reader};
#[cfg(all(test, not(loom)))]
pub(in crate::mmu) use origin::SlotOrigin;
pub use origin::{Image, Zero};

use super::frame::{Frame, Memory};
use super::hardware::Hardware;
use super::stats::Made;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// Where pages come from. What a store does not do it refuses, as written here.
pub trait PageStore {
    /// Host memory that a leaf of `size` at `at`'s block may map as it is, read-only, if there is such.
    fn share(&self, at: GuestReal, size: LeafSize) -> Option<HostReal> {
        _ = (at, size);
        None
    }

    /// Fills `frame` with a page, visible to instruction fetch as well, and tells what that was. The store goes on having it.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if it has no such page, [`StoreError::Corrupt`] if what it has is not what it was given: the frame's contents are rubbish then.
    fn fetch<H: Hardware>(
        &self,
        memory: &Memory<H>,
        buffer: &mut Reader,
        page: Page,
        frame: &mut Frame,
    ) -> Result<Made, StoreError>;

    /// Takes a copy of a page of 4 KiB, which nobody writes meanwhile.
    ///
    /// # Errors
    /// [`StoreError::NotWorth`] or [`StoreError::Full`]: it has nothing of the page then.
    fn keep<H: Hardware>(
        &self,
        memory: &Memory<H>,
        frames: &mut impl Frames,
        buffer: &mut Reader,
        page: &Frame,
    ) -> Result<Handle, StoreError> {
        _ = (memory, frames, buffer, page);
        Err(StoreError::NotWorth)
    }

    /// Forgets a page that it took. Each is to be forgotten once.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if it has no such page.
    fn forget<H: Hardware>(
        &self,
        memory: &Memory<H>,
        frames: &mut impl Frames,
        handle: Handle,
    ) -> Result<(), StoreError> {
        _ = (memory, frames, handle);
        Err(StoreError::Gone)
    }
}

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// What the guest finds in the block of the frame's size at this address when it first touches it.
    Untouched(GuestReal),
    /// One that was kept.
    Kept(Handle),
}

/// Names a page in a store: where it is, and which of the pages that were ever there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// The store's own number for the place, below 2^40.
    pub place: u64,
    /// Which page at that place, modulo 2^20.
    pub generation: u32,
}

/// Why a store did not do what was asked. Nothing that it had accepted is lost by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No memory is left to keep the page in.
    Full,
    /// Keeping the page would take about as much memory as the page itself.
    NotWorth,
    /// What stands there is not what was put there: its checksum differs, or it does not decompress to a page.
    Corrupt,
    /// The handle names no page: it was taken out already.
    Gone,
}

/// Where a store's own memory comes from and goes to, so that it is charged to whoever the pages belong to.
pub trait Frames {
    /// A 4 KiB frame, its contents unknown.
    fn take(&mut self) -> Option<Frame>;
    /// One that is needed no longer.
    fn put(&mut self, frame: Frame);
}
