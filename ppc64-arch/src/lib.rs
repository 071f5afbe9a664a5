//! What 64-bit POWER hardware is, as Power ISA 3.1B tells it: addresses, registers, interrupt vectors, radix entry
//! formats and tree geometry, hashed page tables. No policy lives here.
//!
//! Everything but `cpu` is plain data and builds, and is tested, on any machine. `cpu` holds the instructions and is there for
//! powerpc64 only.
#![cfg_attr(not(test), no_std)]

pub mod addr;
pub mod bits;
#[cfg(target_arch = "powerpc64")]
pub mod cpu;
pub mod errata;
pub mod extended;
pub mod hash;
pub mod mce;
pub mod measures;
pub mod pvr;
pub mod radix;
pub mod spr;
pub mod tlbie;
pub mod trap;
