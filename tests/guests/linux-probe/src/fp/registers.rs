//! All vector-scalar registers, FPSCR and VSCR, held through page faults and a system call.
//!
//! The registers are filled, the pages touched and the registers stored again by one piece of assembly: whatever the
//! compiler puts between two calls would itself use vector registers. VSR 0-31 hold the floating-point registers in
//! their left half, VSR 32-63 are the vector registers (Power ISA 3.1B, Book I, chapter 7).

use super::{Failure, Fresh, PAGES, STRIDE};
use crate::sys;

core::arch::global_asm!(include_str!("registers.s"));

const COUNT: usize = 64;
/// FPSCR: sticky inexact and overflow with their summary, and the two bits of the rounding mode. No exception is enabled.
const FPSCR_STICKY: u64 = 0x9200_0000;
/// VSCR: non-Java mode and saturation.
const VSCR_NJ: u64 = 0x1_0000;
const VSCR_SAT: u64 = 1;

/// What the assembly reads and writes. Its offsets stand in registers.s.
#[repr(C, align(16))]
struct Block {
    /// What the registers are filled with.
    load: [u128; COUNT],
    /// What was found in them.
    seen: [u128; COUNT],
    /// The caller's registers meanwhile: the ABI preserves some of them.
    saved: [u128; COUNT],
    fpscr_load: u64,
    fpscr_seen: u64,
    fpscr_saved: u64,
    vscr_load: u64,
    vscr_seen: u64,
    vscr_saved: u64,
    /// General registers that the ABI preserves.
    gpr_saved: [u64; 2],
    page: u64,
    stride: u64,
    count: u64,
    syscall: u64,
}

const _: () = assert!(core::mem::offset_of!(Block, seen) == 0x400);
const _: () = assert!(core::mem::offset_of!(Block, saved) == 0x800);
const _: () = assert!(core::mem::offset_of!(Block, fpscr_load) == 0xc00);
const _: () = assert!(core::mem::offset_of!(Block, gpr_saved) == 0xc30);
const _: () = assert!(core::mem::offset_of!(Block, syscall) == 0xc58);

unsafe extern "C" {
    /// Fills, touches `count` pages, makes the system call, touches them again, stores, restores.
    fn probe_registers(block: *mut Block);
}

/// One pass over the fresh pages.
pub fn check(round: u64, fresh: &Fresh) -> Result<(), Failure> {
    let mut block = prepared(round, fresh);
    // SAFETY: 1. `block` has the layout that the assembly names; the asserts above hold it.
    //         2. The pages from `page` on belong to `fresh`, which outlives the call.
    //         3. It leaves every register that the ABI preserves as it was.
    unsafe { probe_registers(&raw mut block) };
    judge(&block)
}

/// The values of one round.
fn prepared(round: u64, fresh: &Fresh) -> Block {
    Block {
        load: core::array::from_fn(|n| value(round, n as u64)),
        seen: [0; COUNT],
        saved: [0; COUNT],
        fpscr_load: FPSCR_STICKY | (round & 3),
        fpscr_seen: 0,
        fpscr_saved: 0,
        vscr_load: if round & 4 == 0 { VSCR_NJ } else { VSCR_SAT },
        vscr_seen: 0,
        vscr_saved: 0,
        gpr_saved: [0; 2],
        page: fresh.page(0) as u64,
        stride: STRIDE as u64,
        count: PAGES as u64,
        syscall: sys::SCHED_YIELD as u64,
    }
}

/// A value of its own for each register and round; the register's number can be read off its top byte.
fn value(round: u64, number: u64) -> u128 {
    let low = (round * 64 + number + 1).wrapping_mul(0xd1b5_4a32_d192_ed03);
    let high = low.rotate_left(29) ^ 0xa5a5_5a5a_c3c3_3c3c;
    u128::from(number) << 120 | (u128::from(high) << 64 | u128::from(low)) >> 8
}

/// Compares what went in with what came out.
fn judge(block: &Block) -> Result<(), Failure> {
    for (number, (&found, &expected)) in block.seen.iter().zip(&block.load).enumerate() {
        if found != expected {
            return Err(Failure::Vsr { number, found, expected });
        }
    }
    if block.fpscr_seen != block.fpscr_load {
        return Err(Failure::Fpscr { found: block.fpscr_seen, expected: block.fpscr_load });
    }
    if block.vscr_seen != block.vscr_load {
        return Err(Failure::Vscr { found: block.vscr_seen, expected: block.vscr_load });
    }
    Ok(())
}
