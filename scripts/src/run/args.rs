//! The options of `scripts/run`, which of them contradict each other, and the ones that a later release brings.

use super::choices::{Cpu, Firmware, Granule, Mmu, Platform};
use crate::exit;
use crate::machine::powernv;
use crate::setup::programs::Program;
use anyhow::{Result, bail};
use clap::{Args, Parser};
use parse_size::Config;
use std::ffi::OsString;
use std::iter;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that `scripts/run` can be told.
#[derive(Args, Clone, Debug)]
#[command(after_help = exit::TABLE)]
pub struct RunArgs {
    /// The machine
    #[arg(long, value_enum, default_value_t = Platform::Pseries)]
    pub platform: Platform,
    /// The processor [default: power10, or the one that the machine has]
    #[arg(long, value_enum)]
    pub cpu: Option<Cpu>,
    /// The guest's kernel: debian-6.1, debian-6.12, debian-6.12-64k, or a file (ELF or raw)
    #[arg(long, value_name = "NAME|FILE", default_value = "debian-6.12")]
    pub kernel: String,
    /// The guest's initrd [default: busybox with a shell]
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// More words for the guest's command line
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    pub append: Option<String>,
    /// The guest's memory, such as 512M or 1G
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "1G")]
    pub memory: u64,
    /// The most host memory that the guest takes; what it does not use is compressed to make room [default: all of its memory]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub budget: Option<u64>,
    /// The size of page that guest memory is made in; with a budget 4k, or 2m, whose pages are split where they are not used
    #[arg(long, value_enum, default_value_t = Granule::Auto)]
    pub granule: Granule,
    /// How many processors the guest has, 1 to 8
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = processors)]
    pub cpus: u32,
    /// The guest's kind of page table
    #[arg(long, value_enum, default_value_t = Mmu::Radix)]
    pub mmu: Mmu,
    /// The size of a hash guest's page table, a power of two from 256K to 16G [default: what PAPR recommends, 1/128 of the memory]
    #[arg(long, value_name = "SIZE", value_parser = hpt_size)]
    pub hpt_size: Option<u64>,
    /// Where the hypervisor's log goes, `-` for standard error [default: a file named at the end]
    #[arg(long, value_name = "FILE|-")]
    pub log: Option<String>,
    /// How the hypervisor is started [default: on pseries bios, or vof for raw kernels; on powernv skiboot]
    #[arg(long, value_enum)]
    pub firmware: Option<Firmware>,
    /// End the run after so many seconds [default: 600, or a day for a shell on a terminal]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, overrides_with = "timeout")]
    pub timeout: Option<Duration>,
    /// Run these shell commands in the guest and power off, instead of giving a shell
    #[arg(long, value_name = "COMMANDS", conflicts_with = "initrd", allow_hyphen_values = true)]
    pub batch: Option<String>,
    /// Put a file into the guest's /root (may be repeated)
    #[arg(long, value_name = "FILE", conflicts_with = "initrd")]
    pub add: Vec<PathBuf>,
    /// Put a program of Debian's into the guest (may be repeated)
    #[arg(long, value_enum, value_name = "PROGRAM", conflicts_with_all = ["initrd", "self_test"])]
    pub with: Vec<Program>,
    /// Write the hypervisor's counters to a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    /// A hypervisor that was built before, as ELF [default: build it now]
    #[arg(long, value_name = "FILE", overrides_with = "hypervisor")]
    pub hypervisor: Option<PathBuf>,
    /// Make one page a fault and none ahead, to measure what one costs
    #[arg(long)]
    pub one_page: bool,
    /// Wait for a debugger on port 1234 before the first instruction
    #[arg(long)]
    pub gdb: bool,
    /// Count instructions: time passes by them, and runs repeat exactly
    #[arg(long)]
    pub icount: bool,
    /// One more argument for QEMU (may be repeated)
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub qemu_arg: Vec<OsString>,
    /// Boot the kernel without the hypervisor, for comparison
    #[arg(long)]
    pub plain: bool,
    /// Let the hypervisor check itself on that machine, without a guest; only on powernv
    #[arg(long, conflicts_with_all = ["plain", "kernel", "initrd", "cpus", "memory", "budget", "granule", "batch", "add", "mmu"])]
    pub self_test: bool,
    /// How many processors the machine has, 1 to 8; the guest's take turns on them
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = processors)]
    pub host_cpus: u32,
    /// The machine's memory, in whole MiB, instead of what the guest and the hypervisor need (G, M and K are powers of two)
    #[arg(long, value_name = "SIZE", value_parser = whole_mebibytes)]
    pub host_memory: Option<u64>,
    /// Prepare everything, print QEMU's command line, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Let through what is known to be refused, for tests of the hypervisor's own checks
    #[arg(long, hide = true)]
    pub unchecked: bool,
}

impl RunArgs {
    /// Refuses what this release does not do and what contradicts itself, in one line.
    pub fn check(&self) -> Result<()> {
        self.refuse_hash()?;
        self.refuse_contradictions()
    }

    fn refuse_hash(&self) -> Result<()> {
        let wrong = match self.mmu {
            Mmu::Radix if self.hpt_size.is_some() => "--hpt-size: only a hash guest has such a table; give --mmu hash",
            Mmu::Hash if self.plain && self.hpt_size.is_some() => {
                "--hpt-size: a plain kernel's table is QEMU's or its own; leave it out"
            }
            Mmu::Hash if !self.plain && !self.platform.is_bare_metal() => {
                "--mmu hash: on pseries guests are nested ones, and those are radix only (QEMU's nested API takes no hashed table); give --platform powernv9 or powernv10"
            }
            _ => return Ok(()),
        };
        bail!(exit::bad_input(wrong))
    }

    /// The size of the guest's hashed table, if it has one under the hypervisor.
    pub fn hpt_bytes(&self) -> Option<u64> {
        let recommended = || (self.memory.next_power_of_two() / 128).max(256 << 10);
        (self.mmu == Mmu::Hash && !self.plain).then(|| self.hpt_size.unwrap_or_else(recommended))
    }

    fn refuse_contradictions(&self) -> Result<()> {
        let platform = self.platform.name();
        let wrong = match (self.firmware, self.cpu, self.platform.cpu()) {
            (_, Some(asked), Some(there)) if asked != there => {
                format!("--cpu {}: {platform} is a machine with {}", asked.name(), there.name())
            }
            (Some(firmware), ..) if firmware.is_bare_metal() != self.platform.is_bare_metal() => {
                let instead = if self.platform.is_bare_metal() { "skiboot or bare" } else { "bios, vof or slof" };
                format!("--firmware {}: on {platform} give {instead}", firmware.name())
            }
            (Some(Firmware::Bare), ..) if self.plain => "--firmware bare: a plain kernel needs skiboot".into(),
            (Some(Firmware::Bare), ..) if self.host_cpus > 1 => {
                "--firmware bare: only firmware starts more than one CPU; give skiboot, or --host-cpus 1".into()
            }
            _ if self.plain && self.host_cpus > 1 => {
                "--host-cpus: a plain kernel has the machine's CPUs for itself; give --cpus".into()
            }
            _ if self.plain && self.host_memory.is_some() => {
                "--host-memory: a plain kernel has the machine's memory for itself; give --memory".into()
            }
            _ if self.platform.is_bare_metal() && self.host_memory.is_some_and(|told| told < powernv::RESERVED) => {
                format!("--host-memory: a {platform} machine has at least {} MiB", powernv::RESERVED >> 20)
            }
            _ if self.self_test && !self.platform.is_bare_metal() => {
                "--self-test: give a powernv machine by --platform".into()
            }
            _ if !self.self_test && self.platform == Platform::Powernv10Rainier => {
                format!("--platform {platform} is for --self-test only")
            }
            _ => return Ok(()),
        };
        bail!(exit::bad_input(wrong))
    }

    /// The processor that was asked for or comes with the machine.
    pub fn cpu(&self) -> Cpu {
        self.cpu.or(self.platform.cpu()).unwrap_or(Cpu::Power10)
    }

    /// The options as if they had been typed.
    pub fn from_words(words: &[&str]) -> Result<Self> {
        #[derive(Parser)]
        struct Typed {
            #[command(flatten)]
            run: RunArgs,
        }
        Ok(Typed::try_parse_from(iter::once("run").chain(words.iter().copied()))?.run)
    }

    /// Whether somebody may type into the guest.
    pub fn is_interactive(&self) -> bool {
        self.batch.is_none() && !self.self_test
    }
}

fn size(text: &str) -> Result<u64, String> {
    Config::new().with_binary().parse_size(text).map_err(|error| error.to_string())
}

fn whole_mebibytes(text: &str) -> Result<u64, String> {
    let is_whole = |bytes: &u64| *bytes > 0 && bytes.is_multiple_of(1 << 20);
    Some(size(text)?).filter(is_whole).ok_or_else(|| "give whole MiB, 1M or more".into())
}

fn hpt_size(text: &str) -> Result<u64, String> {
    let is_one = |bytes: &u64| bytes.is_power_of_two() && (256 << 10..=16 << 30).contains(bytes);
    Some(size(text)?).filter(is_one).ok_or_else(|| "give a power of two from 256K to 16G".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "not a whole number of seconds".into())
}

/// The hypervisor's own limit, of its CPUs and of a guest's.
fn processors(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|count| (1..=8).contains(count)).ok_or_else(|| "give a number from 1 to 8".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn sizes_are_powers_of_two_however_they_are_written() {
        assert_eq!(size("1G"), Ok(1 << 30));
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert!(size("much").is_err());
    }

    #[test]
    fn a_batch_needs_the_default_initrd() {
        assert!(RunArgs::from_words(&["--batch", "ls", "--initrd", "x"]).is_err());
        assert!(RunArgs::from_words(&["--batch", "ls"]).is_ok());
    }

    fn refusal(words: &[&str]) -> String {
        let error = RunArgs::from_words(words).unwrap().check().unwrap_err();
        assert_eq!(exit::code_of(&error), exit::Code::BadInput);
        error.to_string()
    }

    #[test]
    fn hash_guests_are_for_bare_metal_and_have_a_table() {
        assert!(refusal(&["--mmu", "hash"]).contains("give --platform powernv9 or powernv10"));
        assert!(refusal(&["--hpt-size", "16M"]).contains("give --mmu hash"));
        assert!(refusal(&["--plain", "--mmu", "hash", "--hpt-size", "16M"]).contains("leave it out"));
        assert!(RunArgs::from_words(&["--plain", "--mmu", "hash"]).unwrap().check().is_ok());
        for size in ["128K", "3M", "32G", "much"] {
            assert!(RunArgs::from_words(&["--hpt-size", size]).is_err(), "{size}");
        }
        let hash = ["--platform", "powernv9", "--mmu", "hash", "--hpt-size", "16M"];
        let bytes = |words| RunArgs::from_words(words).unwrap().hpt_bytes();
        assert!(RunArgs::from_words(&hash).unwrap().check().is_ok());
        assert_eq!((bytes(&hash), bytes(&hash[..4]), bytes(&[])), (Some(16 << 20), Some(8 << 20), None));
    }

    #[test]
    fn nothing_need_be_told() {
        assert!(RunArgs::from_words(&[]).unwrap().check().is_ok());
    }

    #[test]
    fn a_machine_has_its_own_processor_and_firmware() {
        assert!(refusal(&["--platform", "powernv9", "--cpu", "power10"]).contains("a machine with power9"));
        assert!(refusal(&["--platform", "powernv10", "--firmware", "vof"]).contains("skiboot or bare"));
        assert!(refusal(&["--firmware", "skiboot"]).contains("on pseries give bios, vof or slof"));
        assert!(refusal(&["--platform", "powernv9", "--firmware", "bare", "--plain"]).contains("needs skiboot"));
        assert!(RunArgs::from_words(&["--platform", "powernv9", "--cpu", "power9"]).unwrap().check().is_ok());
    }

    #[test]
    fn a_machine_has_whole_mebibytes() {
        let asked = |words| RunArgs::from_words(words).unwrap().host_memory;
        assert_eq!((asked(&["--host-memory", "1536M"]), asked(&[])), (Some(1536 << 20), None));
        for size in ["0", "1025K", "much"] {
            assert!(RunArgs::from_words(&["--host-memory", size]).is_err(), "{size}");
        }
        assert!(refusal(&["--plain", "--host-memory", "1G"]).contains("give --memory"));
        assert!(refusal(&["--platform", "powernv9", "--host-memory", "1023M"]).contains("at least 1024 MiB"));
    }

    #[test]
    fn guest_and_machine_have_one_to_eight_processors_each() {
        assert!(RunArgs::from_words(&["--cpus", "8", "--host-cpus", "3"]).unwrap().check().is_ok());
        assert!(RunArgs::from_words(&["--cpus", "8", "--plain"]).unwrap().check().is_ok());
        for words in [["--cpus", "0"], ["--cpus", "9"], ["--host-cpus", "9"], ["--host-cpus", "two"]] {
            assert!(RunArgs::from_words(&words).is_err(), "{words:?}");
        }
        assert!(refusal(&["--plain", "--host-cpus", "2"]).contains("give --cpus"));
        let bare = ["--platform", "powernv10", "--firmware", "bare", "--cpus", "2", "--host-cpus", "2"];
        assert!(refusal(&bare).contains("only firmware starts more than one CPU"));
        assert!(RunArgs::from_words(&bare[..6]).unwrap().check().is_ok());
    }

    #[test]
    fn the_processor_follows_the_machine_unless_it_is_told() {
        let cpu = |words| RunArgs::from_words(words).unwrap().cpu();
        assert_eq!(cpu(&[]), Cpu::Power10);
        assert_eq!(cpu(&["--cpu", "power9"]), Cpu::Power9);
        assert_eq!(cpu(&["--platform", "powernv9"]), Cpu::Power9);
        assert_eq!(cpu(&["--platform", "powernv10"]), Cpu::Power10);
    }

    #[test]
    fn a_self_test_wants_bare_metal_and_no_guest() {
        let rainier = ["--platform", "powernv10-rainier", "--self-test", "--host-cpus", "4"];
        assert!(RunArgs::from_words(&rainier).unwrap().check().is_ok());
        assert!(refusal(&rainier[..2]).contains("for --self-test only"));
        assert!(refusal(&["--self-test"]).contains("give a powernv machine"));
        for words in [&["--self-test", "--batch", "ls"], &["--self-test", "--cpus", "2"][..]] {
            assert!(RunArgs::from_words(words).is_err(), "{words:?}");
        }
    }
}
