//! The options of `scripts/run`, and the ones that a later release brings.

use crate::exit;
use anyhow::{Result, bail};
use clap::{Args, Parser, ValueEnum};
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
    /// The processor
    #[arg(long, value_enum, default_value_t = Cpu::Power10)]
    pub cpu: Cpu,
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
    /// How many processors the guest has
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub cpus: u32,
    /// The guest's kind of page table
    #[arg(long, value_enum, default_value_t = Mmu::Radix)]
    pub mmu: Mmu,
    /// Where the hypervisor's log goes, `-` for standard error [default: a file named at the end]
    #[arg(long, value_name = "FILE|-")]
    pub log: Option<String>,
    /// How the hypervisor is started [default: bios, or vof for raw kernels]
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
    /// Write the hypervisor's counters to a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    /// A hypervisor that was built before, as ELF [default: build it now]
    #[arg(long, value_name = "FILE")]
    pub hypervisor: Option<PathBuf>,
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
    /// Prepare everything, print QEMU's command line, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Let through what is known to be refused, for tests of the hypervisor's own checks
    #[arg(long, hide = true)]
    pub unchecked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Platform {
    Pseries,
    Powernv9,
    Powernv10,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cpu {
    Power9,
    Power10,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Granule {
    #[value(name = "4k")]
    Size4K,
    #[value(name = "64k")]
    Size64K,
    #[value(name = "2m")]
    Size2M,
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mmu {
    Radix,
    Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Firmware {
    /// None: the hypervisor stands in its place
    Bios,
    /// QEMU's small built-in one
    Vof,
    /// The usual one
    Slof,
}

impl Cpu {
    /// QEMU's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Power9 => "power9",
            Self::Power10 => "power10",
        }
    }
}

impl Granule {
    /// The hypervisor's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size4K => "4k",
            Self::Size64K => "64k",
            Self::Size2M => "2m",
            Self::Auto => "auto",
        }
    }
}

impl RunArgs {
    /// Refuses what this release does not do, in one line.
    pub fn refuse_later_features(&self) -> Result<()> {
        let later = match () {
            () if self.platform != Platform::Pseries => "powernv machines are",
            () if self.mmu == Mmu::Hash => "hash guests are",
            () if self.cpus > 1 => "more than one CPU per guest is",
            () => return Ok(()),
        };
        bail!(exit::bad_input(format!("{later} brought by a later release")))
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
        self.batch.is_none()
    }
}

fn size(text: &str) -> Result<u64, String> {
    Config::new().with_binary().parse_size(text).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "not a whole number of seconds".into())
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

    #[test]
    fn what_comes_later_is_refused_in_one_line() {
        for words in [&["--mmu", "hash"][..], &["--cpus", "2"], &["--platform", "powernv9"]] {
            let error = RunArgs::from_words(words).unwrap().refuse_later_features().unwrap_err();
            assert_eq!(exit::code_of(&error), exit::Code::BadInput);
            assert!(error.to_string().ends_with("brought by a later release"), "{error}");
        }
        assert!(RunArgs::from_words(&[]).unwrap().refuse_later_features().is_ok());
    }
}
