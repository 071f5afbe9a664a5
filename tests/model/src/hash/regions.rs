//! A guest's memory in regions of 16 MiB: each is there or not, and is somewhere else each time that it comes.

use hv_core::hash::{Backing, Kind, Page};
use hv_core::mmu::{Access, Reflect, Resolution};
use ppc64_arch::addr::{GuestReal, HostReal};
use ppc64_arch::hash::PageSize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// The guest has memory below this.
pub const END: u64 = 64 << 20;
/// A device of 16 MiB stands here.
pub const DEVICE: u64 = 1 << 30;
/// Bytes of a region, and of the device.
pub const REGION: u64 = 16 << 20;

/// Where a region is, and whether stores need nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Host real address.
    pub frame: u64,
    /// They need nothing.
    pub stores: bool,
}

/// The memory.
#[derive(Debug, Default)]
pub struct Regions {
    regions: RefCell<BTreeMap<u64, Region>>,
    comings: Cell<u64>,
    /// Stores are refused: a read-only slot.
    pub read_only: Cell<bool>,
}

impl Regions {
    /// The region of a guest real address, if it is there.
    #[must_use]
    pub fn region(&self, at: u64) -> Option<Region> {
        self.regions.borrow().get(&(at / REGION)).copied()
    }

    /// It goes. The range that has to be evicted.
    pub fn take(&self, at: u64) -> (u64, u64) {
        self.regions.borrow_mut().remove(&(at / REGION));
        range(at)
    }

    /// It stays, but the next store is to be noticed. The range that has to be evicted.
    pub fn protect(&self, at: u64) -> (u64, u64) {
        if let Some(region) = self.regions.borrow_mut().get_mut(&(at / REGION)) {
            region.stores = false;
        }
        range(at)
    }
}

/// Where the region of an address begins, and where it ends.
const fn range(at: u64) -> (u64, u64) {
    let number = at / REGION;
    (number * REGION, (number + 1) * REGION)
}

impl Backing for Regions {
    type Pin<'a> = ();

    fn pin(&self) {}

    fn largest(&self) -> PageSize {
        PageSize::Size16M
    }

    fn kind(&self, at: GuestReal, size: PageSize) -> Kind {
        let within = |from: u64, to: u64| from <= at.raw() && at.raw() < to && size.bytes() <= to - at.raw();
        match () {
            () if within(0, END) => Kind::Memory,
            () if within(DEVICE, DEVICE + REGION) => Kind::Device,
            () => Kind::Nothing,
        }
    }

    fn look(&self, at: GuestReal, size: PageSize) -> Option<Page> {
        let region = self.region(at.raw())?;
        let frame = region.frame + ((at.raw() % REGION) & !size.offset_mask());
        Some(Page { frame: HostReal::new(frame), stores: region.stores })
    }

    fn prepare(&self, at: GuestReal, _size: PageSize, access: Access) -> Resolution {
        let stores = access == Access::Write;
        if stores && self.read_only.get() {
            return Resolution::Reflect(Reflect::ReadOnly);
        }
        let mut regions = self.regions.borrow_mut();
        let region = regions.entry(at.raw() / REGION).or_insert_with(|| {
            self.comings.set(self.comings.get() + 1);
            Region { frame: (1 << 40) + self.comings.get() * REGION, stores: false }
        });
        region.stores |= stores;
        Resolution::Resume
    }
}
