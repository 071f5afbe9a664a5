//! Gives the machine's memory to the frame pool: all of it but the image, the device tree, what the guest is started from, and what firmware keeps.

use super::fdt::{self, Machine};
use super::refusal::Refusal;
use core::ops::Range;
use heapless::Vec;
use hv_core::mmu::frame::Block;
use hv_core::mmu::{FramePool, Hardware, Memory};
use ppc64_arch::addr::{HostReal, LeafSize};

/// A range that is kept out.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Which.
    pub range: Range<u64>,
    /// For whom.
    pub owner: &'static str,
}

/// Ranges that are kept out, sorted.
pub type Reserved = Vec<Kept, { 8 + fdt::RESERVATIONS }>;

/// The pool over the machine's memory.
///
/// # Errors
/// [`Refusal::NoFrames`]: there is no room for the pool's own table, or nothing is left.
pub fn pool<H: Hardware>(machine: &Machine, hardware: H) -> Result<Memory<H>, Refusal> {
    lay_out(machine, hardware).map(|(memory, _)| memory)
}

/// The same, and what was kept out of it.
///
/// # Errors
/// As for [`pool`].
pub fn lay_out<H: Hardware>(machine: &Machine, hardware: H) -> Result<(Memory<H>, Reserved), Refusal> {
    let mut reserved = reserve(machine);
    let end = machine.memory.iter().map(|range| range.end).max().ok_or(Refusal::NoFrames)?;
    let base = HostReal::new(0);
    let count = FramePool::blocks_for(base, HostReal::new(end));
    let table = carve(machine, &mut reserved, (count * size_of::<Block>()) as u64)?;
    // SAFETY: 1. the range was carved from memory that nobody else uses and is kept out of the pool; 2. it is page aligned, and large enough.
    let blocks = unsafe { blocks_at(table, count) };
    let pool = FramePool::new(base, blocks);
    let mut given = 0;
    for_each_gap(machine, &reserved, |gap| {
        // SAFETY: 1. the gap is memory that no reservation names, so nothing uses it.
        given += unsafe { pool.give(HostReal::new(gap.start), HostReal::new(gap.end)) };
    });
    if given == 0 { Err(Refusal::NoFrames) } else { Ok((Memory { hardware, pool }, reserved)) }
}

/// What is there already, sorted.
fn reserve(machine: &Machine) -> Reserved {
    let mut reserved = Reserved::new();
    let ranges = [
        (Some(crate::memory::image()), "hypervisor"),
        (Some(machine.tree.clone()), "device tree"),
        (machine.kernel.clone(), "kernel"),
        (machine.initrd.clone(), "initrd"),
    ];
    reserved.extend(ranges.into_iter().filter_map(|(range, owner)| range.map(|range| Kept { range, owner })));
    reserved.extend(machine.reserved.iter().map(|range| Kept { range: range.clone(), owner: "firmware" }));
    reserved.sort_unstable_by_key(|kept| kept.range.start);
    reserved
}

/// Calls `each` with every stretch of memory that is not reserved, whole pages only.
pub fn for_each_gap(machine: &Machine, reserved: &[Kept], mut each: impl FnMut(Range<u64>)) {
    for memory in &machine.memory {
        let mut from = memory.start;
        let ranges = reserved.iter().map(|kept| &kept.range);
        for taken in ranges.filter(|taken| taken.start < memory.end && taken.end > memory.start) {
            give_pages(from, taken.start, &mut each);
            from = from.max(taken.end);
        }
        give_pages(from, memory.end, &mut each);
    }
}

/// Calls `each` with the whole pages of `from..to`, if there are any.
fn give_pages(from: u64, to: u64, each: &mut impl FnMut(Range<u64>)) {
    let page = LeafSize::Size64K;
    let from = HostReal::new(from).align_up(page).map_or(u64::MAX, HostReal::raw);
    let to = HostReal::new(to).align_down(page).raw();
    if from < to {
        each(from..to);
    }
}

/// Takes `bytes` from the first stretch that has them, and reserves them.
fn carve(machine: &Machine, reserved: &mut Reserved, bytes: u64) -> Result<u64, Refusal> {
    let mut found = None;
    for_each_gap(machine, reserved, |gap| {
        if found.is_none() && gap.end - gap.start >= bytes {
            found = Some(gap.start);
        }
    });
    let at = found.ok_or(Refusal::NoFrames)?;
    reserved.push(Kept { range: at..at + bytes, owner: "frame table" }).map_err(|_| Refusal::NoFrames)?;
    reserved.sort_unstable_by_key(|kept| kept.range.start);
    Ok(at)
}

/// `count` empty blocks at `at`.
///
/// # Safety
/// The memory there is the caller's for good, aligned for [`Block`], and has room for them.
unsafe fn blocks_at(at: u64, count: usize) -> &'static mut [Block] {
    let first: *mut Block = core::ptr::with_exposed_provenance_mut(crate::memory::index(at));
    for index in 0..count {
        // SAFETY: 1. `index` is inside what the caller gave.
        unsafe { first.add(index).write(Block::new()) }
    }
    // SAFETY: 1. all `count` were just written; 2. nobody else refers to them.
    unsafe { core::slice::from_raw_parts_mut(first, count) }
}
