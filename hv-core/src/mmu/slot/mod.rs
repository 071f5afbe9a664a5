//! Memory slots: which guest real addresses exist, and what they are made of.
//!
//! Here is what a slot is; `list` has the slots of a guest, as faults and mutations share them.

mod list;

pub(super) use list::Slots;
pub use list::{Found, MAX_SLOTS};

use super::store::PageStore;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::Rights;

/// What a slot's pages are made of when the guest first touches them.
///
/// ```
/// # use hv_core::mmu::*;
/// # use ppc64_arch::addr::{GuestReal, LeafSize};
/// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
///
/// use ppc64_arch::addr::HostReal;
///
/// // The first 8 KiB of a slot of 1 MiB are an image, all behind it zeros.
/// let source = Source::Image { at: HostReal::new(0x40_0000), bytes: 8 << 10 };
/// let spec = SlotSpec { base: GuestReal::new(0), bytes: 1 << 20, source, read_only: false };
/// assert_eq!(spec.check(52, LeafSize::Size64K), Ok(()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Zeros.
    Zero,
    /// `bytes` bytes of host memory from `at`, zeros behind them. The image is shared where a leaf can map it, read-only, and copied on the first write.
    /// It must stay as it is for as long as the slot lives.
    Image {
        /// Where the image stands; any alignment.
        at: HostReal,
        /// Its length.
        bytes: u64,
    },
}

/// How large the leaves of a guest are made.
///
/// ```
/// use hv_core::mmu::Granule;
/// use ppc64_arch::addr::LeafSize;
///
/// assert_eq!(Granule::Auto.limit(), LeafSize::Size2M);
/// // Slots are aligned so that leaves of the granule can meet at their ends.
/// assert_eq!(Granule::Fixed(LeafSize::Size64K).slot_alignment(), LeafSize::Size64K);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granule {
    /// This size wherever the slot holds a whole block of it, smaller ones elsewhere.
    Fixed(LeafSize),
    /// The largest that fits the slot and does not give up sharing an image.
    Auto,
}

impl Granule {
    /// No leaf is larger.
    #[must_use]
    #[inline]
    pub const fn limit(self) -> LeafSize {
        match self {
            Self::Fixed(size) => size,
            Self::Auto => LeafSize::Size2M,
        }
    }

    /// What a huge leaf is split into, and what is made where pages are told apart by who wrote them.
    #[must_use]
    #[inline]
    pub const fn last_level(self) -> LeafSize {
        match self {
            Self::Fixed(LeafSize::Size64K) => LeafSize::Size64K,
            _ => LeafSize::Size4K,
        }
    }

    /// What the base and length of a slot must be multiples of, so that leaves of this granule can meet at its ends.
    #[must_use]
    pub const fn slot_alignment(self) -> LeafSize {
        match self {
            Self::Fixed(LeafSize::Size4K) => LeafSize::Size4K,
            _ => LeafSize::Size64K,
        }
    }
}

/// A slot to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotSpec {
    /// First guest real address, aligned to `align`.
    pub base: GuestReal,
    /// Length in bytes, a multiple of `align`.
    pub bytes: u64,
    /// What it is made of.
    pub source: Source,
    /// Stores are the guest's error.
    pub read_only: bool,
}

/// Why a slot was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotError {
    /// It has no bytes.
    Empty,
    /// Base or length is no multiple of the space's slot alignment.
    Misaligned,
    /// It ends beyond the addresses that the tree translates.
    OutOfRange,
    /// It overlaps a slot that is there.
    Overlaps,
    /// There are [`MAX_SLOTS`] slots already.
    TooMany,
    /// An image that is longer than its slot, or that wraps.
    BadImage,
    /// No slot begins there.
    NoSuchSlot,
    /// The slot's dirty log is on; switch it off first.
    Logged,
    /// No frame was left for a table.
    OutOfMemory,
}

/// A slot as a fault sees it: a consistent copy, for as long as the pin lives under which it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotView {
    /// Which slot.
    pub index: usize,
    /// First guest real address.
    pub base: u64,
    /// First guest real address behind it.
    pub end: u64,
    /// What follows is as it stands in the slot, to be taken apart where it is needed.
    flags: u64,
    image_at: u64,
    image_bytes: u64,
    log: u64,
}

/// Flags of a slot: stores are the guest's error; it is made of an image.
const READ_ONLY: u64 = 1;
const IMAGE: u64 = 2;

impl SlotSpec {
    /// Checks what can be said of a slot by itself: `address_bits` is what the tree translates, `align` what base and length must be multiples of.
    ///
    /// # Errors
    /// See [`SlotError`].
    pub fn check(&self, address_bits: u32, align: LeafSize) -> Result<(), SlotError> {
        if self.bytes == 0 {
            return Err(SlotError::Empty);
        }
        if !self.base.is_aligned(align) || self.bytes & align.offset_mask() != 0 {
            return Err(SlotError::Misaligned);
        }
        let end = self.base.checked_add(self.bytes).ok_or(SlotError::OutOfRange)?;
        if end.raw() > 1 << address_bits {
            return Err(SlotError::OutOfRange);
        }
        match self.source {
            Source::Image { at, bytes } if bytes > self.bytes || at.checked_add(bytes).is_none() => {
                Err(SlotError::BadImage)
            }
            _ => Ok(()),
        }
    }
}

impl SlotView {
    /// What it is made of.
    #[must_use]
    #[inline]
    pub const fn source(&self) -> Source {
        if self.has_image() {
            Source::Image { at: HostReal::new(self.image_at), bytes: self.image_bytes }
        } else {
            Source::Zero
        }
    }

    /// Whether it is made of an image.
    #[must_use]
    #[inline]
    pub const fn has_image(&self) -> bool {
        self.flags & IMAGE != 0
    }

    /// Stores are the guest's error.
    #[must_use]
    #[inline]
    pub const fn read_only(&self) -> bool {
        self.flags & READ_ONLY != 0
    }

    /// Where the directory of its dirty log stands, if that is on.
    #[must_use]
    #[inline]
    pub const fn log(&self) -> Option<HostReal> {
        if self.log == 0 { None } else { Some(HostReal::new(self.log)) }
    }

    /// The largest leaf that may map the page at `at`: its whole block lies in the slot, it is no larger than `granule` says, and with
    /// [`Granule::Auto`] an image that can be mapped without a copy stays so. While the dirty log is on, a page is as small as it can be.
    #[must_use]
    #[inline]
    pub fn leaf_for(&self, at: GuestReal, granule: Granule) -> LeafSize {
        let limit = if self.log().is_some() { granule.last_level() } else { granule.limit() };
        let fits = |size: LeafSize| {
            size <= limit
                && self.holds_block(at.align_down(size), size)
                && (granule != Granule::Auto || self.keeps_sharing(at, size))
        };
        let larger = [LeafSize::Size1G, LeafSize::Size2M, LeafSize::Size64K];
        larger.into_iter().find(|size| fits(*size)).unwrap_or(LeafSize::Size4K)
    }

    /// What a leaf of this slot permits before anybody stored to it. While the dirty log is on that leaves out stores.
    #[inline]
    pub(super) const fn rights(&self) -> Rights {
        let read_execute = Rights::READ.union(Rights::EXECUTE);
        if self.read_only() || self.log().is_some() { read_execute } else { read_execute.union(Rights::WRITE) }
    }

    /// Whether a whole block lies in the slot.
    pub(super) fn holds_block(&self, block: GuestReal, size: LeafSize) -> bool {
        // No overflow: both lie below the tree's limit, and a block never ends above it.
        self.base <= block.raw() && block.raw() + size.bytes() <= self.end
    }

    /// Whether a leaf of `size` gives up sharing that a smaller one would allow.
    fn keeps_sharing(&self, at: GuestReal, size: LeafSize) -> bool {
        self.origin().share(at, size).is_some() || self.origin().share(at, LeafSize::Size4K).is_none()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn spec(base: u64, bytes: u64) -> SlotSpec {
        SlotSpec { base: GuestReal::new(base), bytes, source: Source::Zero, read_only: false }
    }

    fn view(base: u64, end: u64, source: Source) -> SlotView {
        let (flags, image_at, image_bytes) = match source {
            Source::Zero => (0, 0, 0),
            Source::Image { at, bytes } => (IMAGE, at.raw(), bytes),
        };
        SlotView { index: 0, base, end, flags, image_at, image_bytes, log: 0 }
    }

    #[test]
    fn bad_slots_are_refused_by_name() {
        let check = |spec: SlotSpec| spec.check(52, LeafSize::Size64K);
        assert_eq!(check(spec(0, 0)), Err(SlotError::Empty));
        assert_eq!(check(spec(0x1000, 0x1_0000)), Err(SlotError::Misaligned));
        assert_eq!(check(spec(0, 0x1_1000)), Err(SlotError::Misaligned));
        assert_eq!(check(spec(u64::MAX - 0xffff, 0x1_0000)), Err(SlotError::OutOfRange));
        assert_eq!(check(spec((1 << 52) - 0x1_0000, 0x2_0000)), Err(SlotError::OutOfRange));
        let image = Source::Image { at: HostReal::new(0), bytes: 0x1_0001 };
        assert_eq!(check(SlotSpec { source: image, ..spec(0, 0x1_0000) }), Err(SlotError::BadImage));
        assert_eq!(check(spec((1 << 52) - 0x1_0000, 0x1_0000)), Ok(()));
        let slots = Slots::new();
        slots.insert(&spec(0x1000, 0x2000)).expect("the first");
        assert_eq!(slots.insert(&spec(0x2000, 0x1000)), Err(SlotError::Overlaps));
        assert_eq!(slots.insert(&spec(0, 0x1001)), Err(SlotError::Overlaps));
    }

    #[test]
    fn a_leaf_is_as_large_as_slot_and_limit_allow() {
        let slot = view(0x10_0000, 0x60_0000, Source::Zero);
        let leaf = |at, limit| slot.leaf_for(GuestReal::new(at), Granule::Fixed(limit));
        assert_eq!(leaf(0x20_0000, LeafSize::Size2M), LeafSize::Size2M);
        assert_eq!(leaf(0x10_0000, LeafSize::Size2M), LeafSize::Size64K);
        assert_eq!(leaf(0x20_0000, LeafSize::Size64K), LeafSize::Size64K);
        assert_eq!(leaf(0x20_0000, LeafSize::Size4K), LeafSize::Size4K);
    }

    #[test]
    fn an_image_is_shared_at_the_largest_size_that_needs_no_copy() {
        let image = Source::Image { at: HostReal::new(0x101_0000), bytes: 0x40_1234 };
        let slot = view(0, 0x41_0000, image);
        assert_eq!(slot.leaf_for(GuestReal::new(0), Granule::Auto), LeafSize::Size64K);
        assert_eq!(slot.origin().share(GuestReal::new(0x1_2345), LeafSize::Size64K), Some(HostReal::new(0x102_0000)));
        let crate::mmu::store::SlotOrigin::Image(image) = slot.origin() else { panic!("an image") };
        let part = |at| image.part(GuestReal::new(at), LeafSize::Size4K);
        assert_eq!((part(0x40_1fff), part(0x40_2000)), (Some((HostReal::new(0x141_1000), 0x234)), None));
        assert_eq!(slot.origin().share(GuestReal::new(0x40_1000), LeafSize::Size4K), None);
    }
}
