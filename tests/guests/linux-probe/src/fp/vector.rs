//! Integer arithmetic in vector registers, against the same arithmetic in general registers.

use super::{Failure, Fresh, PAGES};

core::arch::global_asm!(include_str!("vector.s"));

unsafe extern "C" {
    /// Four lanes of 32 bits: for each of `count` steps, store the lanes at `page`, load them again, multiply by
    /// `factor`, add `addend`, rotate by one bit; the page advances by `stride` bytes. The lanes are updated in place.
    fn probe_lanes(lanes: *mut [u32; 4], constants: *const [[u32; 4]; 2], page: *mut u64, stride: usize, count: usize);
}

/// One pass over the fresh pages.
pub fn check(round: u64, fresh: &Fresh) -> Result<(), Failure> {
    let seed = lane_value(round);
    let mut lanes = [0, 7, 14, 21].map(|bits| seed.rotate_left(bits));
    let constants = [[0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f], [seed | 1, 3, 5, 7]];
    let expected = scalar(lanes, &constants);
    // SAFETY: 1. All pointers are to live values of the sizes named; `fresh` has PAGES pages of STRIDE bytes.
    //         2. The assembly uses only registers that the ABI lets it change.
    unsafe { probe_lanes(&raw mut lanes, &raw const constants, fresh.page(0), super::STRIDE, PAGES) };
    for (&found, &expected) in lanes.iter().zip(&expected) {
        if found != expected {
            return Err(Failure::Wrong { what: "vector lane", found: found.into(), expected: expected.into() });
        }
    }
    Ok(())
}

/// Both halves of the round's number, folded.
fn lane_value(round: u64) -> u32 {
    let mixed = round.wrapping_mul(0xd1b5_4a32_d192_ed03);
    ((mixed >> 32) & 0xffff_ffff) as u32
}

/// The same sum by general registers. `black_box` keeps the compiler from using vector registers here too.
fn scalar(mut lanes: [u32; 4], constants: &[[u32; 4]; 2]) -> [u32; 4] {
    for _ in 0..PAGES {
        for (n, lane) in lanes.iter_mut().enumerate() {
            let product = core::hint::black_box(*lane).wrapping_mul(constants[0][n]);
            *lane = product.wrapping_add(constants[1][n]).rotate_left(1);
        }
    }
    lanes
}
