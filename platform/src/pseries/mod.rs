//! The pseries platform: a partition under a PAPR hypervisor (the L0) that lets it run guests of its own by nested API v1.

pub mod console;
pub mod hardware;
pub mod host;
pub mod nested;
pub mod number;
pub mod rtas;
pub mod world;
pub mod xics;

use ppc64_arch::cpu::{Hcall, hcall};

/// Success, in every hcall's r3.
pub const H_SUCCESS: i64 = 0;

/// Has the L0 enter our vectors in little-endian mode (H_SET_MODE, resource 4; PAPR chapter 14). Anything that goes wrong before this is silent.
pub fn use_little_endian_interrupts() -> bool {
    // SAFETY: 1. only the mode of later interrupts changes, and the vectors are written for it.
    let answer = unsafe { hcall(number::H_SET_MODE, &[1, 4, 0, 0]) };
    answer.code == H_SUCCESS
}

/// An hcall whose effect is on the L0's side only, or that stores to a buffer which `args` owns for it.
///
/// # Safety
/// As for [`hcall`]: memory that the call writes must be the caller's to give.
#[inline]
unsafe fn call(number: u64, args: &[u64]) -> Hcall {
    // SAFETY: 1. passed on to the caller.
    unsafe { hcall(number, args) }
}
