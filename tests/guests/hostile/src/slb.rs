//! A hash guest's segments: which parts of effective space lead to which of virtual space (Power ISA 3.1B Book III 6.7.8.1, 6.9.3.2).

use core::arch::asm;

/// Entries that there are.
pub const ENTRIES: u64 = 32;
/// log2 of a segment's bytes.
const SEGMENT: u64 = 28;
/// RB of `slbmte`: the entry is one.
pub const VALID: u64 = 1 << 27;

/// VSID word: supervisor state has key 1, problem state has; nothing is executed.
pub const SUPERVISOR_KEY: u64 = 1 << 11;
pub const PROBLEM_KEY: u64 = 1 << 10;
pub const NO_EXECUTE: u64 = 1 << 9;
/// VSID word: pages of 64 KiB.
pub const MEDIUM: u64 = 0x110;
/// VSID word: pages of 16 MiB.
pub const LARGE: u64 = 0x100;
/// VSID word: 1 TiB.
pub const TERA: u64 = 1 << 62;

/// The VSID word of segment `vsid` of 256 MiB.
pub const fn word(vsid: u64, bits: u64) -> u64 {
    vsid << 12 | bits
}

/// Puts a segment at `ea`, in this entry.
pub fn set(index: u64, ea: u64, word: u64) {
    let rb = ea >> SEGMENT << SEGMENT | VALID | index;
    // SAFETY: 1. Instruction and data translation are off, so nothing that runs uses segments.
    unsafe { asm!("isync", "slbmte {}, {}", "isync", in(reg) word, in(reg) rb, options(nostack)) }
}

/// Drops all entries.
pub fn clear() {
    let none = 0_u64;
    // SAFETY: 1. As above. 2. `slbia` leaves entry 0, which is made invalid by itself.
    unsafe { asm!("isync", "slbmte {0}, {0}", "slbia", "isync", in(reg) none, options(nostack)) }
}

/// What an entry is: its ESID word, without the index, and its VSID word.
pub fn get(index: u64) -> [u64; 2] {
    let (esid, vsid);
    // SAFETY: 1. Reads registers.
    unsafe { asm!("slbmfee {}, {2}", "slbmfev {}, {2}", out(reg) esid, out(reg) vsid, in(reg) index, options(nostack)) }
    [esid, vsid]
}
