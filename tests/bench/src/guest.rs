//! Guests of any size, on a machine that has memory for them.

use crate::hardware::{BASE, Bench, Frames};
use hv_core::mmu::{Config, Discipline, Granule, Memory, SlotSpec, Source, Space};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// Where a guest's image slot begins; its zeros begin at 0.
pub const IMAGE_SLOT: u64 = 1 << 40;

/// How much guest memory there is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Of zeros.
    pub zeros: u64,
    /// Of an image.
    pub image: u64,
    /// Host memory for copies, besides.
    pub copies: u64,
}

impl Size {
    /// Frames for all of it and the copies, and for tables.
    const fn host_bytes(self) -> u64 {
        let whole = LeafSize::Size2M.bytes();
        let pages = self.zeros + self.image + self.copies;
        (pages.div_ceil(whole) + pages / 256 / whole + 32) * whole
    }

    const fn image_bytes(self) -> u64 {
        self.image.div_ceil(LeafSize::Size2M.bytes()) * LeafSize::Size2M.bytes()
    }
}

/// A machine for a guest of that size.
///
/// # Panics
/// If the system has no room for the mapping: nothing can be measured then.
#[must_use]
pub fn machine(size: Size) -> Memory<Bench> {
    machine_of(Frames::Again, size)
}

/// The same, telling how often frames are used.
///
/// # Panics
/// As above.
#[must_use]
pub fn machine_of(frames: Frames, size: Size) -> Memory<Bench> {
    Bench::with_pool(frames, size.host_bytes(), size.image_bytes())
        .expect("room for host memory that is hardly touched")
}

/// A guest on it, whose leaves are made of `granule`.
///
/// # Panics
/// If hv-core refuses it.
#[must_use]
pub fn guest<D: Discipline>(memory: &Memory<Bench>, size: Size, granule: Granule) -> Space<'_, Bench, D> {
    let space = Space::build(memory, 1, &Config { granule, ..Config::default() }).expect("a frame for the root");
    let image_at = HostReal::new(BASE.raw() + size.host_bytes());
    let slots =
        [(0, size.zeros, Source::Zero), (IMAGE_SLOT, size.image, Source::Image { at: image_at, bytes: size.image })];
    for (base, bytes, source) in slots.into_iter().filter(|slot| slot.1 != 0) {
        let spec = SlotSpec { base: GuestReal::new(base), bytes, source, read_only: false };
        // SAFETY: 1. The image lies behind the pool's memory, and nobody writes there.
        unsafe { space.add_slot(&spec) }.expect("a good slot");
    }
    space
}
