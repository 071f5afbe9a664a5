//! Mutations on guests of different sizes: what each is to cost depends on the pages that it concerns, not on how much memory the guest has.

use crate::faults::{fault, seat, take};
use crate::guest::{Size, guest, machine};
use crate::hardware::Bench;
use hv_core::mmu::pins::Pins;
use hv_core::mmu::{Access, Cpu, Granule, Seat, Space};
use ppc64_arch::addr::{GuestReal, LeafSize};

/// The slot of all guests here.
const SLOT: GuestReal = GuestReal::new(0);
const GIB: u64 = 1 << 30;
const PAGE: u64 = LeafSize::Size4K.bytes();
const REGION: u64 = LeafSize::Size2M.bytes();

/// Regions of 2 MiB in the part of a guest that an operation concerns if it does not concern all of it.
pub const REGIONS: u64 = GIB / REGION;

/// A guest and a CPU that mutates it. It lives as long as the program.
pub struct Grown {
    seat: Seat<'static, 'static, Bench, Pins>,
    bytes: u64,
}

impl Grown {
    /// A slot of so many GiB of which 1/16 GiB is mapped.
    #[must_use]
    pub fn sparse(gib: u64) -> Self {
        let grown = Self::empty(gib);
        grown.fill(GIB / 16);
        grown
    }

    /// All of it mapped by leaves of 2 MiB.
    #[must_use]
    pub fn large(gib: u64) -> Self {
        let grown = Self::empty(gib);
        grown.fill(grown.bytes);
        grown
    }

    /// All of it mapped by leaves of 4 KiB.
    #[must_use]
    pub fn small(gib: u64) -> Self {
        let grown = Self::large(gib);
        grown.each_region(grown.bytes, |space, cpu, at| space.split(cpu, at).expect("a huge leaf and a frame"));
        grown
    }

    /// The same, each region's first page in a frame that does not go with the others.
    #[must_use]
    pub fn scattered(gib: u64) -> Self {
        let grown = Self::small(gib);
        grown.each_region(GIB, |space, cpu, at| {
            let end = GuestReal::new(at.raw() + PAGE);
            space.unmap(cpu, at, end).expect("small leaves need no split");
        });
        grown.write(GIB, 1);
        grown
    }

    /// Leaves of 4 KiB, all known to be clean by the dirty log.
    #[must_use]
    pub fn logged(gib: u64) -> Self {
        let grown = Self::small(gib);
        grown.start_log();
        grown
    }

    /// The same, then `pages` pages of each region written.
    #[must_use]
    pub fn dirty(gib: u64, pages: u64) -> Self {
        let grown = Self::logged(gib);
        grown.write(grown.bytes, pages);
        grown
    }

    fn empty(gib: u64) -> Self {
        let size = Size { zeros: gib * GIB, image: 0, copies: GIB };
        let memory = Box::leak(Box::new(machine(size)));
        let space = Box::leak(Box::new(guest(memory, size, Granule::Auto)));
        Self { seat: seat(space, 0), bytes: size.zeros }
    }

    /// Touches each region of the first `bytes`.
    fn fill(&self, bytes: u64) {
        (0..bytes / REGION).for_each(|region| take(&self.seat, &[fault(region * REGION, Access::Write)]));
    }

    /// Writes the first `pages` pages of each region of the first `bytes`, from the last one down, so that none is made ahead.
    fn write(&self, bytes: u64, pages: u64) {
        for region in 0..bytes / REGION {
            for page in (0..pages).rev() {
                take(&self.seat, &[fault(region * REGION + page * PAGE, Access::Write)]);
            }
        }
    }

    fn each_region(&self, bytes: u64, mut work: impl FnMut(&Space<'static, Bench, Pins>, &mut Cpu, GuestReal)) {
        self.seat.with_cpu(|space, cpu| {
            (0..bytes / REGION).for_each(|region| work(space, cpu, GuestReal::new(region * REGION)));
        });
    }

    /// Switches the dirty log on.
    pub fn start_log(&self) {
        self.seat.with_cpu(|space, cpu| space.start_log(cpu, SLOT)).expect("a log that was off");
    }

    /// Switches it off.
    pub fn stop_log(&self) {
        self.seat.with_cpu(|space, cpu| space.stop_log(cpu, SLOT)).expect("a log that was on");
    }

    /// Takes what is dirty out of the log: how many pages.
    #[must_use]
    pub fn harvest(&self) -> u64 {
        let mut seen = 0;
        let each = |_at: GuestReal, bits: u64| seen += u64::from(bits.count_ones());
        let told = self.seat.with_cpu(|space, cpu| space.harvest(cpu, SLOT, each)).expect("a log that is on");
        assert_eq!(told, seen);
        told
    }

    /// Unmaps the first GiB.
    pub fn unmap(&self) {
        self.seat.with_cpu(|space, cpu| space.unmap(cpu, SLOT, GuestReal::new(GIB))).expect("whole leaves");
    }

    /// Splits the leaves of the first GiB.
    pub fn split(&self) {
        self.each_region(GIB, |space, cpu, at| space.split(cpu, at).expect("a huge leaf and a frame"));
    }

    /// Promotes the tables of the first GiB.
    pub fn promote(&self) {
        self.each_region(GIB, |space, cpu, at| {
            let made = space.promote(cpu, at).expect("a full table");
            assert_eq!(made, LeafSize::Size2M);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv_core::mmu::audit::Audit;
    use hv_core::mmu::stats::{Made, Pages};

    fn live(grown: &Grown) -> Pages {
        Audit::of(grown.seat.space()).live
    }

    fn pages(many: u64, size: LeafSize) -> Pages {
        let mut pages = Pages::default();
        (0..many).for_each(|_| pages.add(Made::Zero, size));
        pages
    }

    #[test]
    fn guests_are_as_large_as_they_say() {
        assert_eq!(live(&Grown::large(1)), pages(512, LeafSize::Size2M));
        assert_eq!(live(&Grown::small(1)), pages(512 * 512, LeafSize::Size4K));
        assert_eq!(live(&Grown::sparse(4)), pages(32, LeafSize::Size2M));
    }

    #[test]
    fn a_harvest_finds_the_pages_that_were_written_and_finds_them_once() {
        let grown = Grown::dirty(1, 3);
        assert_eq!((grown.harvest(), grown.harvest()), (3 * 512, 0));
        grown.stop_log();
    }

    #[test]
    fn split_and_promote_undo_each_other_and_unmap_leaves_nothing() {
        let grown = Grown::large(1);
        grown.split();
        assert_eq!(live(&grown), pages(512 * 512, LeafSize::Size4K));
        grown.promote();
        assert_eq!(live(&grown), pages(512, LeafSize::Size2M));
        grown.unmap();
        assert_eq!(live(&grown), Pages::default());
    }

    #[test]
    fn scattered_pages_are_promoted_by_a_copy() {
        let grown = Grown::scattered(1);
        let free = grown.seat.space().memory().pool.free_bytes();
        grown.promote();
        assert_eq!(live(&grown), pages(512, LeafSize::Size2M));
        // A frame came for each region, and 512 small ones and a table went back, all but the few in the CPU's cache.
        assert!(grown.seat.space().memory().pool.free_bytes() >= free);
    }
}
