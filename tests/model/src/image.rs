//! What the images of the guests hold: each doubleword follows from where it stands.

use hv_core::sync::Ordering;
use machine::{ARENA_BASE, Arena};
use ppc64_arch::addr::HostReal;

/// Bytes at the head of the arena that images lie in. They all share them.
pub const BYTES: u64 = 4 << 20;
/// Where an image begins that no leaf can map.
pub const SKEW: u64 = 0x1018;

/// Where offset `offset` of that area is.
#[must_use]
pub const fn host(offset: u64) -> HostReal {
    HostReal::new(ARENA_BASE.raw() + offset)
}

/// The doubleword at eight times `index` of the area, little-endian.
#[must_use]
pub const fn word(index: u64) -> u64 {
    // Pages that begin alike compress; no two pages are the same.
    (index >> 9) * 0x0101_0000_0001 + (index & 7) + 0x80
}

/// Writes all of them.
pub fn write(arena: &Arena) {
    for (index, cell) in (0..).zip(arena.words(ARENA_BASE, (BYTES / 8) as usize)) {
        cell.store(word(index), Ordering::Relaxed);
    }
}

/// Whether all of them still stand there.
#[must_use]
pub fn is_whole(arena: &Arena) -> bool {
    (0..)
        .zip(arena.words(ARENA_BASE, (BYTES / 8) as usize))
        .all(|(index, cell)| cell.load(Ordering::Relaxed) == word(index))
}
