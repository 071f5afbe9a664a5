//! Stores and loads a hash guest's segments (Power ISA 3.1B Book III 6.9.3.2).

use super::{drop_segments, isync};
use crate::hash::slb::{ENTRIES, Segments};
use core::arch::asm;

/// Takes the CPU's valid segment entries, and leaves none in it.
///
/// # Safety
/// This CPU is in hypervisor state with translation off, and LPCR is the hash guest's still: under UPRT=1 only some of the entries can be reached.
pub unsafe fn take_segments(segments: &mut Segments) {
    segments.clear();
    for index in 0..ENTRIES {
        let (esid, vsid): (u64, u64);
        // SAFETY: 1. every CPU of ours has this many entries; 2. reading them has no effect.
        unsafe {
            asm!(
                "slbmfee {esid}, {index}", "slbmfev {vsid}, {index}",
                esid = out(reg) esid, vsid = out(reg) vsid, index = in(reg) index,
                options(nomem, nostack, preserves_flags)
            );
        }
        segments.add(index, esid, vsid);
    }
    // SAFETY: 1. hypervisor state; 2. what was in them was just stored.
    unsafe { drop_segments() }
}

/// Gives the CPU these segment entries and no others.
///
/// # Safety
/// As for [`take_segments`]; and nobody needs what was in them.
pub unsafe fn give_segments(segments: &Segments) {
    // SAFETY: 1. passed on to the caller.
    unsafe { drop_segments() }
    for entry in segments.entries() {
        // SAFETY: 1. the entries came out of such a CPU, so they are well formed; 2. a guest may have two for one segment: a CPU finds that where one is looked for, and with translation off none is.
        unsafe { asm!("slbmte {}, {}", in(reg) entry.rs, in(reg) entry.rb, options(nostack, preserves_flags)) }
    }
    isync();
}
