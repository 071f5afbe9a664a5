//! `scripts/bench`: what things cost, always beside a baseline that was measured in the same minutes.

mod boot;
mod result;

use crate::exit::Code;
use anyhow::Result;
use clap::Subcommand;

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub enum Bench {
    /// Time from QEMU's start to the guest's user space: granule 4k, granule 2m, and without the hypervisor
    Boot(boot::BootArgs),
}

/// Measures and prints.
pub fn bench(bench: &Bench) -> Result<Code> {
    match bench {
        Bench::Boot(args) => boot::boot(args),
    }
}
