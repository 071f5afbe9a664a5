//! What the other commands need from the machine: found if it is there, else fetched or installed.
//!
//! Each part answers quickly when nothing is missing, so `run`, `test` and `bench` simply ask for what they use.

mod apt;
mod deb;
pub mod guests;
mod qemu;
mod rust_src;
mod sources;
pub mod stress;
mod valgrind;

pub use qemu::{objdump, qemu};
pub use rust_src::rust_src;
pub use valgrind::{gungraun_runner, valgrind};

use anyhow::Result;

/// `scripts/setup`: everything, with a line for each part.
pub fn all() -> Result<()> {
    eprintln!("QEMU: {}", qemu()?.display());
    eprintln!("objdump: {}", objdump()?.display());
    eprintln!("rust-src: {}", rust_src()?.shown());
    eprintln!("busybox: {}", guests::busybox()?.display());
    eprintln!("stress-ng: {}", stress::archive()?.display());
    for guest in guests::ALL {
        eprintln!("{}: {}", guest.name, guest.kernel()?.display());
    }
    Ok(())
}
