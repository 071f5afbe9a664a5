//! What a run begins with.

use crate::image;
use crate::memory::{Material, Slot};
use hv_core::mmu::Granule;
use machine::Recording;
use ppc64_arch::addr::LeafSize;

const MIB: u64 = 1 << 20;

/// The hardware, and how the guest is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// How large leaves are made.
    pub granule: Granule,
    /// Pages that the guest may have.
    pub budget: Option<u64>,
    /// Bytes of the frame pool.
    pub pool: u64,
    /// Who sets R and C.
    pub recording: Recording,
    /// Whether flushes reach every CPU.
    pub broadcast: bool,
    /// Whether CPUs walk again as soon as they have forgotten.
    pub speculates: bool,
    /// CPUs, each with its own caches.
    pub cpus: usize,
    /// Which slots there are at first.
    pub layout: u8,
}

const GRANULES: [Granule; 4] = [
    Granule::Fixed(LeafSize::Size4K),
    Granule::Auto,
    Granule::Fixed(LeafSize::Size64K),
    Granule::Fixed(LeafSize::Size2M),
];

/// From less than one instruction needs, and the least that is enough for one, to more than the guest has.
const BUDGETS: [u64; 8] = [96, 120, 160, 240, 80, 600, 4096, 79];

impl Setup {
    /// Every four bytes are some setup.
    #[must_use]
    pub fn decode(bytes: [u8; 4]) -> Self {
        let [guest, hardware, budget, layout] = bytes;
        let recordings = [Recording::AtOnce, Recording::Late, Recording::Software];
        Self {
            granule: GRANULES[guest as usize % 4],
            budget: (budget & 1 != 0).then(|| BUDGETS[budget as usize >> 1 & 7]),
            pool: if budget & 0x70 == 0x70 { 2 * MIB } else { 20 * MIB },
            recording: recordings[hardware as usize % 3],
            broadcast: hardware & 0x40 == 0,
            speculates: hardware & 0x80 != 0,
            cpus: 1 + (guest >> 4 & 3) as usize % 3,
            layout: layout % 5,
        }
    }

    /// Whether memory can run out.
    #[must_use]
    pub const fn is_tight(&self) -> bool {
        self.budget.is_some() || self.pool < 20 * MIB
    }

    /// Slots at first, by address.
    #[must_use]
    pub fn slots(&self) -> Vec<(u64, Slot)> {
        let zero = |bytes| Slot::new(bytes, Material::Zero, false);
        let image = |bytes, offset, length| Slot::new(bytes, Material::Image { offset, bytes: length }, false);
        let read_only = |slot: Slot| Slot { read_only: true, ..slot };
        match self.layout {
            0 => vec![(0, zero(4 * MIB)), (4 * MIB, image(3 * MIB, 0, 5 * MIB / 2 + 0x1234))],
            1 => vec![(0, image(2 * MIB, 0, 2 * MIB)), (2 * MIB, zero(3 * MIB / 2)), (6 * MIB, zero(2 * MIB))],
            2 => vec![
                (MIB, image(3 * MIB, 0x1_0000, 3 * MIB)),
                (5 * MIB, read_only(image(MIB, image::SKEW, MIB - 0x800))),
            ],
            3 => vec![(0, zero(8 * MIB))],
            _ => vec![(0x1_0000, zero(0x6_0000)), (2 * MIB, read_only(zero(MIB))), (3 * MIB, zero(0x3_0000))],
        }
    }
}
