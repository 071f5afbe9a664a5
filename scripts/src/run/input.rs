//! The guest that was asked for: its files found and looked at before anything starts.
//!
//! Whatever could make QEMU or the hypervisor fail later is said here, naming the file and what is wrong with it.

use super::args::RunArgs;
use super::choices::{Firmware, Platform};
use crate::exit::bad_input;
use crate::image::initramfs::{self, Extras};
use crate::image::kernel::Kernel;
use crate::machine::powernv;
use crate::setup::guests;
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;
/// Memory is given in whole pages of the larger kind.
const UNIT: u64 = 64 << 10;
/// What Linux needs beside its image and twice its initrd, which it unpacks.
const ROOM: u64 = 96 * MIB;
/// What the hypervisor needs beside the guest's memory, for itself, its tables and the images that it serves from.
const OVERHEAD: u64 = 256 * MIB;
/// The part of that which is meant for images; larger ones come on top.
const IMAGES: u64 = 128 * MIB;

/// A guest whose files are there.
pub struct Guest {
    pub name: String,
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    pub firmware: Firmware,
    /// How much memory the machine needs in all.
    pub machine_memory: u64,
}

/// Finds the files and checks that they go together.
pub fn prepare(args: &RunArgs) -> Result<Guest> {
    let kernel = find_kernel(&args.kernel)?;
    let inspected = inspect(&kernel, args)?;
    let initrd = find_initrd(args, &kernel)?;
    let initrd_size = fs::metadata(&initrd)?.len();
    let machine_memory = machine_memory(args, inspected.memory() + initrd_size);
    if !args.unchecked {
        check_unit("--memory", args.memory)?;
        args.budget.map_or(Ok(()), |budget| check_unit("--budget", budget))?;
        check_memory(args, &initrd, inspected.memory(), initrd_size)?;
        check_plain(args, &kernel, &initrd)?;
        check_host(machine_memory, available_on_host())?;
    }
    let firmware = firmware(args, &kernel, inspected)?;
    Ok(Guest { name: args.kernel.clone(), kernel, initrd, firmware, machine_memory })
}

fn find_kernel(asked: &str) -> Result<PathBuf> {
    if let Some(guest) = guests::named(asked) {
        return guest.kernel();
    }
    let names = guests::ALL.map(|guest| guest.name).join(", ");
    match fs::metadata(asked) {
        Ok(data) if data.is_file() => Ok(asked.into()),
        Ok(_) => bail!(bad_input(format!("kernel {asked} is not a file"))),
        Err(error) => bail!(bad_input(format!("kernel {asked} is neither a file ({error}) nor one of {names}"))),
    }
}

fn inspect(kernel: &Path, args: &RunArgs) -> Result<Kernel> {
    let bytes = fs::read(kernel).map_err(|error| bad_input(format!("kernel {}: {error}", kernel.display())))?;
    match Kernel::inspect(&bytes) {
        Ok(inspected) => Ok(inspected),
        Err(_) if args.unchecked => Ok(Kernel::Raw { memory: bytes.len() as u64 }),
        Err(why) => bail!(bad_input(format!("kernel {} {why}", kernel.display()))),
    }
}

fn find_initrd(args: &RunArgs, kernel: &Path) -> Result<PathBuf> {
    let Some(initrd) = &args.initrd else {
        return initramfs::build(&Extras {
            batch: args.batch.as_deref(),
            files: &args.add,
            programs: &args.with,
            kernel,
        });
    };
    match fs::metadata(initrd) {
        Ok(data) if data.is_file() && data.len() > 0 => Ok(initrd.clone()),
        Ok(_) => bail!(bad_input(format!("initrd {} is empty or not a file", initrd.display()))),
        Err(error) => bail!(bad_input(format!("initrd {}: {error}", initrd.display()))),
    }
}

fn check_unit(option: &str, memory: u64) -> Result<()> {
    match memory.is_multiple_of(UNIT) {
        true => Ok(()),
        false => bail!(bad_input(format!("{option} {memory} bytes: give a multiple of 64 KiB"))),
    }
}

/// The guest's memory must hold its images with room to run.
fn check_memory(args: &RunArgs, initrd: &Path, kernel_size: u64, initrd_size: u64) -> Result<()> {
    if kernel_size + initrd_size > args.memory {
        let (path, images) = (initrd.display(), mib(kernel_size + initrd_size));
        bail!(bad_input(format!(
            "initrd {path} does not fit: with the kernel it takes {images} of {}",
            mib(args.memory)
        )));
    }
    let least = (kernel_size + 2 * initrd_size + ROOM).next_multiple_of(16 * MIB);
    if args.memory < least {
        bail!(bad_input(format!(
            "--memory {} is too small: this guest needs at least {}",
            mib(args.memory),
            mib(least)
        )));
    }
    Ok(())
}

/// On bare metal a kernel without the hypervisor is loaded where firmware wants it, which lies below 1 GiB.
fn check_plain(args: &RunArgs, kernel: &Path, initrd: &Path) -> Result<()> {
    if !args.plain || !args.platform.is_bare_metal() {
        return Ok(());
    }
    if args.memory < powernv::RESERVED {
        let (platform, memory, least) = (args.platform.name(), mib(args.memory), mib(powernv::RESERVED));
        bail!(bad_input(format!("--memory {memory} is too small: a {platform} machine has at least {least}")));
    }
    check_loaded("the kernel is", fs::metadata(kernel)?.len())?;
    check_loaded("the initrd is", fs::metadata(initrd)?.len())
}

/// QEMU loads only so much beside firmware.
pub fn check_loaded(what: &str, bytes: u64) -> Result<()> {
    match bytes <= powernv::LOADED {
        true => Ok(()),
        false => bail!(bad_input(format!(
            "{what} too large for powernv: it takes {}, and QEMU loads at most {}",
            mib(bytes),
            mib(powernv::LOADED)
        ))),
    }
}

fn check_host(machine_memory: u64, available: Option<u64>) -> Result<()> {
    match available {
        Some(available) if machine_memory > available => {
            let (wanted, there) = (mib(machine_memory), mib(available));
            bail!(bad_input(format!(
                "the machine is too large for this host: it takes {wanted}, {there} are available; give less --memory or --host-memory"
            )))
        }
        _ => Ok(()),
    }
}

/// What Linux says that new programs may take.
fn available_on_host() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}

/// QEMU itself loads only ELF kernels beside pseries' `-bios`; firmware brings any file.
fn firmware(args: &RunArgs, path: &Path, kernel: Kernel) -> Result<Firmware> {
    match (args.firmware, kernel) {
        (None, _) if args.platform.is_bare_metal() => Ok(Firmware::Skiboot),
        (Some(Firmware::Bios), Kernel::Raw { .. }) => {
            bail!(bad_input(format!("kernel {} is a raw image: it needs --firmware vof or slof", path.display())))
        }
        (Some(firmware), _) => Ok(firmware),
        (None, Kernel::Elf { .. }) => Ok(Firmware::Bios),
        (None, Kernel::Raw { .. }) => Ok(Firmware::Vof),
    }
}

/// What the machine was told to have, or needs for a guest of that much memory at most, whose images take so many bytes.
fn machine_memory(args: &RunArgs, images: u64) -> u64 {
    if let Some(told) = args.host_memory {
        return told;
    }
    let guest = args.budget.unwrap_or(args.memory).min(args.memory);
    let firmware = if args.platform == Platform::Pseries { 0 } else { powernv::RESERVED };
    // With its sides a table takes its size twice, and while it is made larger there is one of twice the size beside it.
    let tables = 6 * args.hpt_bytes().unwrap_or(0);
    (guest + OVERHEAD + tables + images.saturating_sub(IMAGES)).next_multiple_of(OVERHEAD) + firmware
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(words: &[&str], images: u64) -> u64 {
        machine_memory(&RunArgs::from_words(words).unwrap(), images * MIB) / MIB
    }

    #[test]
    fn the_machine_has_room_for_the_hypervisor_and_for_large_images() {
        assert_eq!(machine(&[], 50), 1280);
        assert_eq!(machine(&["--memory", "1000M"], 50), 1280);
        assert_eq!(machine(&[], 500), 1792);
    }

    #[test]
    fn a_machine_has_what_it_was_told_to_have() {
        assert_eq!(machine(&["--host-memory", "3G", "--budget", "96M"], 500), 3072);
    }

    #[test]
    fn a_guest_with_a_budget_needs_a_smaller_machine() {
        assert_eq!(machine(&["--budget", "256M"], 50), 512);
    }

    #[test]
    fn bare_metal_has_room_for_its_firmware_too() {
        assert_eq!(machine(&["--platform", "powernv9"], 50), 1280 + 1024);
        assert_eq!(machine(&["--platform", "powernv10", "--budget", "96M"], 50), 512 + 1024);
    }

    #[test]
    fn what_qemu_does_not_load_is_refused() {
        assert!(check_loaded("the bundle is", 128 * MIB).is_ok());
        let error = check_loaded("the bundle is", 128 * MIB + 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the bundle is too large for powernv: it takes 129 MiB, and QEMU loads at most 128 MiB"
        );
    }

    #[test]
    fn a_machine_larger_than_the_host_is_refused() {
        assert!(check_host(2048 * MIB, Some(1024 * MIB)).unwrap_err().to_string().contains("2048 MiB"));
        assert!(check_host(1024 * MIB, Some(1024 * MIB)).is_ok());
        assert!(check_host(1024 * MIB, None).is_ok());
    }
}
