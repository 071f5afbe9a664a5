//! Double-precision arithmetic whose results are known exactly.
//!
//! Sums of small whole numbers, roots of perfect squares and the rounding error of a product (which a fused
//! multiply-subtract yields exactly) have one right answer each; 128-bit integer arithmetic gives it without a
//! floating-point register. Between the steps pages are touched, so that a storage interrupt meets live values.

use core::arch::asm;

use super::{Failure, Fresh, PAGES};

/// One pass over the fresh pages.
pub fn check(round: u64, fresh: &Fresh) -> Result<(), Failure> {
    sum(round, fresh)?;
    for n in 0..8 {
        root(round.wrapping_mul(0x9e37_79b9).wrapping_add(n))?;
        fused(round.wrapping_mul(0xc2b2_ae3d).wrapping_add(n))?;
    }
    Ok(())
}

fn same(what: &'static str, found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(Failure::Wrong { what, found, expected }) }
}

/// Adds whole numbers through memory that is not there yet: the running total lives in a register meanwhile.
fn sum(round: u64, fresh: &Fresh) -> Result<(), Failure> {
    let (mut total, mut expected) = (0.0f64, 0u64);
    for n in 0..PAGES {
        let part = (round + n as u64) & 0xffff_ffff;
        let place = fresh.page(n).cast::<f64>();
        // SAFETY: 1. `place` is the start of a page of `fresh`, aligned and ours.
        //         2. Volatile: the store must happen here, while `total` is live.
        total += unsafe {
            place.write_volatile(part as f64);
            place.read_volatile()
        };
        expected += part;
    }
    same("sum", total.to_bits(), (expected as f64).to_bits())
}

/// The root of the square of a 26-bit number is that number.
fn root(seed: u64) -> Result<(), Failure> {
    let exact = (seed & 0x3ff_ffff) as f64;
    let found: f64;
    // SAFETY: 1. One arithmetic instruction; it touches no memory.
    unsafe { asm!("fsqrt {0}, {1}", out(freg) found, in(freg) exact * exact, options(pure, nomem, nostack)) };
    same("square root", found.to_bits(), exact.to_bits())
}

/// a*b - round(a*b) in one fused step, against the same difference in integers.
fn fused(seed: u64) -> Result<(), Failure> {
    let a = (1 << 52) | (seed.wrapping_mul(0xd1b5_4a32_d192_ed03) >> 12);
    let b = (1 << 52) | (seed.wrapping_mul(0xaef1_7502_108e_f2d9) >> 12);
    let (x, y) = (a as f64, b as f64);
    let product = x * y;
    let found: f64;
    // SAFETY: 1. One arithmetic instruction; it touches no memory.
    unsafe {
        asm!("fmsub {0}, {1}, {2}, {3}", out(freg) found, in(freg) x, in(freg) y, in(freg) product,
            options(pure, nomem, nostack));
    }
    let exact = u128::from(a) * u128::from(b);
    let error = exact.cast_signed() - whole(product).cast_signed();
    same("fused multiply-subtract", found.to_bits(), small(error).to_bits())
}

/// The double of a difference that rounding left: below 2^53, and so exact.
fn small(difference: i128) -> f64 {
    i64::try_from(difference).map_or(f64::NAN, |exact| exact as f64)
}

/// The integer that a double of at least 2^52 stands for.
fn whole(value: f64) -> u128 {
    let bits = value.to_bits();
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    u128::from(mantissa) << ((bits >> 52) - 1075)
}
