//! What makes a translation that should have been flushed, or a frame that was freed too early, show itself.

use super::account::Seat;
use crate::mmu::{Access, Frame, Granule};
use ppc64_arch::addr::{GuestReal, LeafSize};

/// Lets CPU `cpu` cache what the tables say of `at`, as if the guest had been there before.
pub fn warm<const B: bool>(seat: &Seat<B>, cpu: usize, at: u64) {
    let (hardware, root) = (&seat.space().memory().hardware, seat.space().top());
    for access in [Access::Read, Access::Write] {
        // An access that would raise an interrupt caches nothing more.
        let _interrupt = hardware.access(cpu, root, GuestReal::new(at), access, |_, _| ());
    }
}

/// Overwrites the frames that this CPU freed last, as their next owner would: whoever still uses one of them makes loom report a race.
pub fn reuse_what_was_freed<const B: bool>(seat: &Seat<B>) {
    seat.with_cpu(|space, cpu| {
        let (memory, Granule::Fixed(granule)) = (space.memory(), space.granule()) else { unreachable!("a setup") };
        let sizes = [LeafSize::Size4K, LeafSize::Size4K, granule];
        let frames: Vec<Frame> = sizes.iter().filter_map(|size| cpu.frames.take(&memory.pool, *size)).collect();
        for mut frame in frames {
            frame.zero(&memory.hardware);
            cpu.frames.put(&memory.pool, frame);
        }
    });
}
