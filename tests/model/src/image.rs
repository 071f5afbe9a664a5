//! What the images of the guests hold: each doubleword follows from where it stands.

use hv_core::mmu::Hardware;
use machine::{ARENA_BASE, Machine};
use ppc64_arch::addr::HostReal;
use std::sync::LazyLock;

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

/// The whole area.
static AREA: LazyLock<Vec<u8>> = LazyLock::new(|| (0..BYTES / 8).flat_map(|index| word(index).to_le_bytes()).collect());

/// Writes it.
pub fn write<const BROADCAST: bool>(hardware: &Machine<BROADCAST>) {
    // SAFETY: 1. The area lies in the arena, where nothing runs yet.
    unsafe { hardware.bytes_mut(ARENA_BASE, BYTES as usize) }.copy_from_slice(&AREA);
}

/// Whether it stands there still.
#[must_use]
pub fn is_whole<const BROADCAST: bool>(hardware: &Machine<BROADCAST>) -> bool {
    // SAFETY: 1. The area lies in the arena, where nothing runs any more.
    unsafe { hardware.bytes(ARENA_BASE, BYTES as usize) == AREA.as_slice() }
}
