//! `scripts/bench`: what things cost, always beside a baseline that was measured in the same minutes.

mod boot;
mod mmu;
mod result;
mod smp;
mod switch;

use crate::exit::Code;
use anyhow::Result;
use clap::Subcommand;

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub enum Bench {
    /// Time from QEMU's start to the guest's user space: granule 4k, granule 2m, and without the hypervisor
    Boot(boot::BootArgs),
    /// Guest memory: faults per second and instructions per fault beside one lock and a read-write lock, and what mutations cost as memory grows
    Mmu(mmu::MmuArgs),
    /// The world switch and the fault path on an emulated machine: instructions per hypervisor call and per page, beside KVM-HV's
    Switch(switch::SwitchArgs),
    /// Two vCPUs on two CPUs: how far hypervisor calls and first touches scale, and whether faults take locks
    Smp(smp::SmpArgs),
}

/// Measures and prints.
pub fn bench(bench: &Bench) -> Result<Code> {
    match bench {
        Bench::Boot(args) => boot::boot(args),
        Bench::Mmu(args) => mmu::mmu(args),
        Bench::Switch(args) => switch::switch(args),
        Bench::Smp(args) => smp::smp(args),
    }
}
