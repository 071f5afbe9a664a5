//! The machine of a run: which board, what it loads, and the words on its command line.
//!
//! Only pseries without firmware takes the guest's kernel and initrd as they are. Everywhere else the hypervisor is what
//! firmware loads as kernel, and the guest's files travel in one archive beside it.

use super::args::RunArgs;
use super::choices::{Firmware, Mmu};
use super::files::Files;
use super::input::{Guest, check_loaded};
use crate::build::Hypervisor;
use crate::image::bundle;
use crate::machine::powernv::{self, Powernv};
use crate::machine::pseries::{self, Pseries};
use crate::machine::{Board, Machine};
use crate::setup;
use anyhow::Result;
use std::fs;
use std::path::PathBuf;

/// What a self-test's machine has.
const SELF_TEST_MEMORY: u64 = 2 << 30;

/// A guest's kernel without the hypervisor.
pub fn plain(args: &RunArgs, guest: &Guest) -> Result<Machine> {
    let board = match guest.firmware {
        // It keeps its controller even where runs are to repeat: nothing else could tell that the guest has ended.
        Firmware::Skiboot | Firmware::Bare => powernv(args, powernv::Boot::Skiboot, true),
        Firmware::Slof => pseries(args, pseries::Boot::Slof),
        Firmware::Bios | Firmware::Vof => pseries(args, pseries::Boot::Vof),
    };
    let machine = machine(args, board, args.memory, guest.kernel.clone())?;
    // Only the hypervisor's device tree can choose for the kernel.
    let chosen = (args.mmu == Mmu::Hash).then_some("disable_radix");
    let (initrd, append) = (Some(guest.initrd.clone()), words(&guest_words(args), chosen));
    Ok(Machine { processors: args.cpus, initrd, append, ..machine })
}

/// A guest under the hypervisor.
pub fn under_hypervisor(args: &RunArgs, guest: &Guest, hypervisor: &Hypervisor, files: &Files) -> Result<Machine> {
    let board = board(args, guest.firmware, hypervisor)?;
    let (kernel, initrd) = match guest.firmware {
        Firmware::Bios => (guest.kernel.clone(), guest.initrd.clone()),
        _ => (hypervisor.kept_elf()?, bundle(args, guest, files)?),
    };
    let (memory, granule) = (size(args.memory), args.granule.name());
    let budget = args.budget.map_or(String::new(), |bytes| format!(" samewise.budget={}", size(bytes)));
    let ahead = if args.one_page { " samewise.ahead=off" } else { "" };
    let cpus = if args.cpus > 1 { format!(" samewise.cpus={}", args.cpus) } else { String::new() };
    let mmu = if args.mmu == Mmu::Hash { " samewise.mmu=hash" } else { "" };
    let hpt = args.hpt_size.map_or(String::new(), |bytes| format!(" samewise.hpt-size={}", size(bytes)));
    let own = format!("samewise.memory={memory} samewise.granule={granule}{cpus}{budget}{ahead}{mmu}{hpt}");
    let append = words(&own, Some(&guest_words(args)));
    let machine = machine(args, board, guest.machine_memory, kernel)?;
    Ok(Machine { initrd: Some(initrd), append, log: Some(files.raw.clone()), ..machine })
}

/// The hypervisor alone.
pub fn self_test(args: &RunArgs, hypervisor: &Hypervisor, files: &Files) -> Result<Machine> {
    let board = board(args, args.firmware.unwrap_or(Firmware::Skiboot), hypervisor)?;
    let machine = machine(args, board, args.host_memory.unwrap_or(SELF_TEST_MEMORY), hypervisor.kept_elf()?)?;
    let expected = args.platform.i2c_devices().map(|list| format!("samewise.expect-i2c={list}"));
    let asked = words("samewise.self-test=on", expected.as_deref());
    let append = words(&asked, args.append.as_deref());
    Ok(Machine { append, log: Some(files.raw.clone()), ..machine })
}

fn board(args: &RunArgs, firmware: Firmware, hypervisor: &Hypervisor) -> Result<Board> {
    Ok(match firmware {
        Firmware::Bios => pseries(args, pseries::Boot::Bios(hypervisor.flat()?)),
        Firmware::Vof => pseries(args, pseries::Boot::Vof),
        Firmware::Slof => pseries(args, pseries::Boot::Slof),
        // Without the controller, runs repeat exactly; this tool then ends QEMU when the log says how the run ended.
        Firmware::Skiboot => powernv(args, powernv::Boot::Skiboot, !args.icount),
        Firmware::Bare => powernv(args, powernv::Boot::Bare(hypervisor.flat()?), false),
    })
}

fn pseries(args: &RunArgs, boot: pseries::Boot) -> Board {
    Board::Pseries(Pseries { cpu: args.cpu().name(), boot })
}

fn powernv(args: &RunArgs, boot: powernv::Boot, bmc: bool) -> Board {
    Board::Powernv(Powernv { machine: args.platform.name(), boot, bmc })
}

/// What all machines have in common.
fn machine(args: &RunArgs, board: Board, memory: u64, kernel: PathBuf) -> Result<Machine> {
    Ok(Machine {
        qemu: setup::qemu()?,
        board,
        memory,
        processors: args.host_cpus,
        kernel,
        initrd: None,
        append: String::new(),
        log: None,
        gdb: args.gdb,
        icount: args.icount,
        extra: args.qemu_arg.clone(),
    })
}

fn bundle(args: &RunArgs, guest: &Guest, files: &Files) -> Result<PathBuf> {
    let bytes = bundle::pack(&fs::read(&guest.kernel)?, &fs::read(&guest.initrd)?)?;
    if args.platform.is_bare_metal() && !args.unchecked {
        check_loaded("the guest's kernel and initrd together are", bytes.len() as u64)?;
    }
    files.beside("bundle", &bytes)
}

fn guest_words(args: &RunArgs) -> String {
    words("console=hvc0", args.append.as_deref())
}

fn words(first: &str, more: Option<&str>) -> String {
    [first].into_iter().chain(more).collect::<Vec<_>>().join(" ")
}

/// A size as the hypervisor reads it: the largest unit that divides it.
pub fn size(bytes: u64) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    let fits = units.iter().find(|(shift, _)| bytes.is_multiple_of(1 << shift));
    fits.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_largest_unit_that_divides_them() {
        assert_eq!(size(1 << 30), "1G");
        assert_eq!(size(1536 << 20), "1536M");
        assert_eq!(size(1025), "1025");
    }
}
