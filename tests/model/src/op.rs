//! One operation, and how eight bytes say it.
//!
//! ```text
//!   0 kind | 1 CPU, flags | 2..4 where | 4..6 how much | 6..8 what
//! ```
//!
//! Every eight bytes are some operation, smaller bytes are a simpler one, and an operation that is left out leaves the others what they were: so a sequence that fails
//! shrinks well, and a fuzzer's changes stay small.

use crate::memory::{Material, PAGE};
use crate::{image, memory};

const MIB: u64 = 1 << 20;
const PAGES_PER_REGION: u64 = 2 * MIB / PAGE;

/// What is done, by which CPU. Addresses are guest real, lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say where, how much and what")]
pub enum Op {
    /// The guest loads bytes.
    Load { cpu: usize, at: u64, bytes: usize },
    /// The guest stores bytes that follow from `seed`.
    Store { cpu: usize, at: u64, bytes: usize, seed: u8 },
    /// The guest stores a doubleword in each of `pages` pages, upwards, until one cannot be.
    Sweep { cpu: usize, at: u64, pages: u64, seed: u8 },
    /// The guest fills a page with what does not compress.
    Noise { cpu: usize, at: u64, seed: u8 },
    /// The guest fetches an instruction.
    Fetch { cpu: usize, at: u64 },
    /// The hypervisor reads.
    Read { cpu: usize, at: u64, bytes: usize },
    /// The hypervisor writes.
    Write { cpu: usize, at: u64, bytes: usize, seed: u8 },
    /// The hypervisor fills with zeros.
    Zero { cpu: usize, at: u64, bytes: u64 },
    /// A slot is added.
    AddSlot { cpu: usize, base: u64, bytes: u64, material: Material, read_only: bool },
    /// The slot at `base` goes.
    RemoveSlot { cpu: usize, base: u64 },
    /// It shrinks or grows.
    ResizeSlot { cpu: usize, base: u64, bytes: u64 },
    /// It allows stores, or no longer does.
    SetReadOnly { cpu: usize, base: u64, read_only: bool },
    /// A range begins again.
    Unmap { cpu: usize, from: u64, to: u64 },
    /// Everything begins again.
    Empty { cpu: usize },
    /// A slot's dirty log is switched on.
    StartLog { cpu: usize, base: u64 },
    /// And off.
    StopLog { cpu: usize, base: u64 },
    /// And harvested.
    Harvest { cpu: usize, base: u64 },
    /// The leaf of an address becomes smaller ones.
    Split { cpu: usize, at: u64 },
    /// The leaves of an address's region become one.
    Promote { cpu: usize, at: u64 },
    /// Which leaves were used is asked, and begins again.
    Age { cpu: usize, from: u64, to: u64 },
    /// Empty tables go.
    Prune { cpu: usize },
    /// Pages go to the store.
    PageOut { cpu: usize },
    /// No more than so many tables from now on.
    LimitTables { pages: u64 },
    /// The CPU carries out what it owes of R and C, but for the newest `keep`.
    Deliver { cpu: usize, keep: usize },
    /// The CPU gives its frames back to the pool.
    Drain { cpu: usize },
}

/// Bytes of an operation.
pub const BYTES: usize = 8;

impl Op {
    /// The operation that eight bytes say.
    #[must_use]
    pub fn decode(bytes: [u8; BYTES]) -> Self {
        let [kind, who, a, b, c, d, e, f] = bytes;
        let (place, many, what) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]), u16::from_le_bytes([e, f]));
        let (cpu, seed) = (usize::from(who & 3), (what >> 8) as u8);
        let (at, bytes) = (address(place, what), 1 + usize::from(many) % 96);
        // A slot is named by where it begins: mostly at a multiple of 1 MiB.
        let base = slot_base(place);
        let named = if place >> 12 < 14 { u64::from(place & 7) * MIB } else { base };
        match kind {
            0..48 => Self::Store { cpu, at, bytes, seed },
            48..80 => Self::Load { cpu, at, bytes },
            80..92 if many >> 15 == 1 => Self::Sweep { cpu, at: at & !(2 * MIB - 1), pages: PAGES_PER_REGION, seed },
            80..92 => Self::Sweep { cpu, at: at & !7, pages: 1 + u64::from(many) % 64, seed },
            92..98 => Self::Noise { cpu, at: at & !(PAGE - 1), seed },
            98..106 => Self::Fetch { cpu, at },
            106..114 => Self::Read { cpu, at, bytes: 1 + usize::from(many) % 9000 },
            114..124 => Self::Write { cpu, at, bytes: 1 + usize::from(many) % 9000, seed },
            124..130 => Self::Zero { cpu, at, bytes: 1 + u64::from(many) % 9000 },
            130..138 => {
                let bytes = length(many);
                Self::AddSlot { cpu, base, bytes, material: material(what, bytes), read_only: who & 0x70 == 0x70 }
            }
            138..142 => Self::RemoveSlot { cpu, base: named },
            142..148 => Self::ResizeSlot { cpu, base: named, bytes: length(many) },
            148..154 => Self::SetReadOnly { cpu, base: named, read_only: who & 0x40 != 0 },
            154..166 => Self::Unmap { cpu, from: at, to: at.saturating_add(extent(many)) },
            166..168 => Self::Empty { cpu },
            168..176 => Self::StartLog { cpu, base: named },
            176..180 => Self::StopLog { cpu, base: named },
            180..196 => Self::Harvest { cpu, base: named },
            196..206 => Self::Split { cpu, at },
            // Where a region was swept, often.
            206..222 => Self::Promote { cpu, at: if many & 1 == 0 { at } else { at & !(2 * MIB - 1) } },
            222..230 => Self::Age { cpu, from: at, to: at.saturating_add(extent(many)) },
            230..236 => Self::Prune { cpu },
            236..243 => Self::PageOut { cpu },
            243..245 => Self::LimitTables { pages: if who & 0x30 == 0 { u64::from(many) % 8 } else { u64::MAX } },
            245..253 => Self::Deliver { cpu, keep: usize::from(many) % 4 },
            _ => Self::Drain { cpu },
        }
    }

    /// The operations that a row of bytes says; a rest of less than eight bytes is left out.
    pub fn decode_all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        bytes.as_chunks::<BYTES>().0.iter().map(|bytes| Self::decode(*bytes))
    }

    /// The CPU that does it.
    #[must_use]
    pub const fn cpu(&self) -> usize {
        match *self {
            Self::Load { cpu, .. }
            | Self::Store { cpu, .. }
            | Self::Sweep { cpu, .. }
            | Self::Noise { cpu, .. }
            | Self::Fetch { cpu, .. }
            | Self::Read { cpu, .. }
            | Self::Write { cpu, .. }
            | Self::Zero { cpu, .. }
            | Self::AddSlot { cpu, .. }
            | Self::RemoveSlot { cpu, .. }
            | Self::ResizeSlot { cpu, .. }
            | Self::SetReadOnly { cpu, .. }
            | Self::Unmap { cpu, .. }
            | Self::Empty { cpu }
            | Self::StartLog { cpu, .. }
            | Self::StopLog { cpu, .. }
            | Self::Harvest { cpu, .. }
            | Self::Split { cpu, .. }
            | Self::Promote { cpu, .. }
            | Self::Age { cpu, .. }
            | Self::Prune { cpu }
            | Self::PageOut { cpu }
            | Self::Deliver { cpu, .. }
            | Self::Drain { cpu } => cpu,
            Self::LimitTables { .. } => 0,
        }
    }
}

/// An address: nearly always in the first four regions of 2 MiB, half of the time in their first 40 pages, and now and then where nothing can be.
fn address(place: u16, what: u16) -> u64 {
    let offset = u64::from(what % PAGE as u16);
    let (region, page) = (u64::from(place >> 9 & 3), u64::from(place % 512));
    let page = if place & 0x800 == 0 { page % 40 } else { page };
    let within = (region * PAGES_PER_REGION + page) * PAGE + offset;
    match place >> 12 {
        14 => 8 * MIB + within,
        15 => [1 << 40, (1 << 52) - PAGE, 1 << 52, u64::MAX - 0x1fff][usize::from(place & 3)] + offset,
        _ => within,
    }
}

/// Where a slot may begin: multiples of 2 MiB, of 1 MiB, of 64 KiB, of 4 KiB, and what is none or out of range.
fn slot_base(place: u16) -> u64 {
    let step = u64::from(place & 0xff);
    match place >> 8 & 15 {
        0..4 => step % 4 * 2 * MIB,
        4..11 => step % 8 * MIB,
        11 => step % 64 * 0x2_0000,
        12 => step * 0x1_0000,
        13 => 0x1_0000 + step * PAGE,
        14 => step * 0x800,
        _ => [u64::MAX - 0xffff, (1 << 52) - 0x10_0000, 1 << 52, 1 << 51][place as usize & 3],
    }
}

/// How long a slot may be.
fn length(many: u16) -> u64 {
    let step = u64::from(many & 0xff);
    match many >> 8 & 15 {
        0..4 => (1 + step % 4) * 2 * MIB,
        4..9 => (1 + step % 8) * MIB / 2,
        9..12 => (1 + step % 40) * 0x1_0000,
        12 | 13 => (1 + step) * PAGE,
        14 => step * 0x400,
        _ => [0, u64::MAX, u64::MAX - 0xffff, (1 << 52) + 0x1_0000][many as usize & 3],
    }
}

/// How far a range goes: bytes, pages, or regions.
fn extent(many: u16) -> u64 {
    let step = u64::from(many & 0x3ff);
    match many >> 10 {
        0..4 => step,
        4..32 => step % 64 * PAGE,
        32..48 => step * PAGE,
        _ => step * MIB / 16,
    }
}

fn material(what: u16, bytes: u64) -> Material {
    let offset = [0, 0, 0x1_0000, 0x20_0000, image::SKEW, PAGE][usize::from(what & 7) % 6];
    match what >> 3 & 3 {
        0 | 1 => Material::Zero,
        // Longer than its slot now and then.
        2 => Material::Image { offset, bytes: bytes.saturating_sub(u64::from(what >> 5)).min(image::BYTES - offset) },
        _ => Material::Image { offset, bytes: (u64::from(what >> 5) * 0x777).min(image::BYTES - offset) },
    }
}

/// What a store of `bytes` bytes with `seed` writes.
#[must_use]
pub fn contents(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| seed.wrapping_add((index % 8) as u8)).collect()
}

/// A page that does not compress.
#[must_use]
pub fn noise(seed: u8) -> memory::Page {
    let mut state = u64::from(seed) << 32 | 0x9abc_def1;
    let mut page = Box::new([0; PAGE as usize]);
    for byte in page.iter_mut() {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        *byte = (state >> 56) as u8;
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_zero_are_the_simplest_operation() {
        assert_eq!(Op::decode([0; BYTES]), Op::Store { cpu: 0, at: 0, bytes: 1, seed: 0 });
    }

    #[test]
    fn every_kind_is_some_operation_and_none_lies_idle() {
        let kinds: std::collections::HashSet<_> =
            (0..=255).map(|kind| std::mem::discriminant(&Op::decode([kind, 0, 1, 2, 3, 4, 5, 6]))).collect();
        assert_eq!(kinds.len(), 25);
    }

    #[test]
    fn no_image_ends_behind_the_area_that_images_lie_in() {
        for what in 0..=u16::MAX {
            if let Material::Image { offset, bytes } = material(what, 5 * MIB) {
                assert!(offset + bytes <= image::BYTES);
            }
        }
    }
}
