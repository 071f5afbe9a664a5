//! The memory map: what the device tree names, what is kept out of the pool and for whom, what the pool got; then patterns in frames from all over it.

use super::{Hardware, Report};
use crate::boot::fdt::Machine;
use crate::boot::frames::{Kept, for_each_gap};
use core::ops::Range;
use heapless::Vec;
use hv_core::guest::cmdline::Inject;
use hv_core::mmu::{Frame, Hardware as _, Memory};
use ppc64_arch::addr::{HostReal, LeafSize};

/// Frames that a pattern is written to.
const FRAMES: usize = 24;
/// Bytes at each end of a frame that it is written to.
const END: usize = 4096;
const MIB: u64 = 1 << 20;

/// A line for each range, for each that is kept, one for the sum, and one for the patterns.
pub fn run(report: &mut Report, machine: &Machine, memory: &Memory<Hardware>, kept: &[Kept], inject: Option<Inject>) {
    let mut total = 0;
    for Range { start, end } in machine.memory.iter().cloned() {
        total += end - start;
        report.check("memory-range", Ok(format_args!("{start:#x} to {end:#x}, {} MiB", (end - start) / MIB)));
    }
    for Kept { range: Range { start, end }, owner } in kept {
        report.check(
            "memory-kept",
            Ok(format_args!("{start:#x} to {end:#x}, {} KiB for the {owner}", (end - start) >> 10)),
        );
    }
    map(report, machine, memory, kept, total);
    patterns(report, machine, memory, kept, inject);
}

/// No stretch that the pool got overlaps one that is kept, and together they are what it says it has.
fn map(report: &mut Report, machine: &Machine, memory: &Memory<Hardware>, kept: &[Kept], total: u64) {
    let (mut given, mut stretches, mut overlap) = (0, 0, None);
    for_each_gap(machine, kept, |gap| {
        given += gap.end - gap.start;
        stretches += 1;
        overlap = overlap.or_else(|| kept.iter().find(|kept| overlaps(&kept.range, &gap)).map(|kept| kept.owner));
    });
    let free = memory.pool.free_bytes();
    match overlap {
        Some(owner) => report.check("memory-map", Err(format_args!("the pool overlaps what is kept for the {owner}"))),
        None => report.verdict(
            "memory-map",
            free == given && free > 0,
            format_args!(
                "{} MiB in all, {} kept, {} MiB in {stretches} stretches given to the pool, which has {} KiB",
                total / MIB,
                kept.len(),
                given / MIB,
                free >> 10
            ),
        ),
    }
}

/// Takes frames until they are spread over the pool, and looks at both ends of each.
#[inline(never)]
fn patterns(report: &mut Report, machine: &Machine, memory: &Memory<Hardware>, kept: &[Kept], inject: Option<Inject>) {
    let sizes = [LeafSize::Size4K, LeafSize::Size64K].into_iter().chain(core::iter::repeat(LeafSize::Size2M));
    let frames: Vec<Frame, FRAMES> = sizes.take(FRAMES).map_while(|size| memory.pool.take(size)).collect();
    for (number, frame) in frames.iter().enumerate() {
        fill(memory, frame, number as u64);
    }
    let (mut bad, mut stray, mut low, mut high) = (None, None, u64::MAX, 0);
    for (number, frame) in frames.iter().enumerate() {
        let flip = u64::from(inject == Some(Inject::Memory) && number == 1) << 17;
        bad = bad.or_else(|| differs(memory, frame, number as u64, flip));
        let range = frame.at().raw()..frame.at().raw() + frame.size().bytes();
        let inside = machine.memory.iter().any(|all| all.start <= range.start && range.end <= all.end);
        if !inside || kept.iter().any(|kept| overlaps(&kept.range, &range)) {
            stray = stray.or(Some(range.start));
        }
        (low, high) = (low.min(range.start), high.max(range.end));
    }
    let count = frames.len();
    frames.into_iter().for_each(|frame| memory.pool.put(frame));
    match (bad, stray) {
        (Some((at, xor)), _) => {
            report.check("memory-pattern", Err(format_args!("{at:#x}: bits {xor:#x} read back wrong")))
        }
        (_, Some(at)) => {
            report.check("memory-pattern", Err(format_args!("the pool gave out {at:#x}, which is not its own")))
        }
        _ => report.verdict(
            "memory-pattern",
            count == FRAMES,
            format_args!("{count} frames between {low:#x} and {high:#x} hold what was written"),
        ),
    }
}

fn overlaps(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The doubleword for an address: every bit of it depends on the address and the frame.
const fn pattern(at: u64, number: u64) -> u64 {
    (at ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.rotate_left(32)
}

/// The first and the last bytes of a frame, by their addresses.
fn ends(frame: &Frame) -> [HostReal; 2] {
    let end = frame.at().raw() + frame.size().bytes();
    [frame.at(), HostReal::new(end - END as u64)]
}

fn fill(memory: &Memory<Hardware>, frame: &Frame, number: u64) {
    for end in ends(frame) {
        // SAFETY: 1. the frame is ours, and no guest has it; 2. both ends lie in it.
        let bytes = unsafe { memory.hardware.bytes_mut(end, END) };
        for (offset, word) in (0..).step_by(8).zip(bytes.as_chunks_mut::<8>().0) {
            *word = pattern(end.raw() + offset, number).to_ne_bytes();
        }
    }
}

/// The first doubleword that is another than was written: where, and in which bits.
fn differs(memory: &Memory<Hardware>, frame: &Frame, number: u64, flip: u64) -> Option<(u64, u64)> {
    ends(frame).into_iter().find_map(|end| {
        // SAFETY: 1. as above; 2. nobody writes it.
        let bytes = unsafe { memory.hardware.bytes(end, END) };
        (end.raw()..).step_by(8).zip(bytes.as_chunks::<8>().0).find_map(|(at, word)| {
            let xor = u64::from_ne_bytes(*word) ^ pattern(at, number) ^ flip;
            (xor != 0).then_some((at, xor))
        })
    })
}
