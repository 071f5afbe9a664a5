//! Builds what runs on the bare machine and in the guest: the hypervisor, and the guests of our own.

use crate::image::flat;
use crate::setup::{self, guests};
use crate::ui::Step;
use crate::{exit, paths, proc};
use anyhow::{Context, Result};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of everything bare-metal, described by a JSON file of this name.
const BARE: &str = "powerpc64le-samewise";

/// A hypervisor that was built: its ELF file, read once, since the log can be decoded with these bytes only.
pub struct Hypervisor {
    pub elf_path: PathBuf,
    pub elf: Vec<u8>,
}

impl Hypervisor {
    /// One that was built before.
    pub fn read(elf_path: &Path) -> Result<Self> {
        let elf = fs::read(elf_path).with_context(|| format!("cannot read the hypervisor {}", elf_path.display()))?;
        Ok(Self { elf_path: elf_path.into(), elf })
    }

    /// The flat image for `-bios`, under a name made of its contents.
    pub fn flat(&self) -> Result<PathBuf> {
        self.keep("bin", &flat::flatten(&self.elf)?)
    }

    /// A copy of the ELF file that the next build does not replace.
    pub fn kept_elf(&self) -> Result<PathBuf> {
        self.keep("elf", &self.elf)
    }

    fn keep(&self, extension: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = paths::work("images")?.join(format!("samewise-{}.{extension}", &guests::sha256(bytes)[..16]));
        if !path.exists() {
            paths::write_whole(&path, bytes)?;
        }
        Ok(path)
    }
}

/// Builds the hypervisor.
pub fn hypervisor() -> Result<Hypervisor> {
    let step = Step::new("build the hypervisor");
    cargo(&mut bare("build", &["-p", "platform"])?)?;
    drop(step);
    Hypervisor::read(&paths::target().join(BARE).join("release/samewise"))
}

/// Builds it with delays, beside the usual one.
fn delayed() -> Result<Hypervisor> {
    let step = Step::new("build the hypervisor with delays");
    let target = paths::work("delays")?;
    cargo(bare("build", &["-p", "platform", "--features", "delays"])?.arg("--target-dir").arg(&target))?;
    drop(step);
    Hypervisor::read(&target.join(BARE).join("release/samewise"))
}

/// Builds the bare-metal guest that does what a guest must not.
pub fn hostile() -> Result<PathBuf> {
    guest("hostile", BARE, "guest-hostile")
}

/// Builds the bare-metal guest that measures what its hypervisor costs.
pub fn measure() -> Result<PathBuf> {
    guest("measure", BARE, "guest-measure")
}

/// Builds the bare-metal guest that keeps a pattern in every register.
pub fn registers() -> Result<PathBuf> {
    guest("registers", BARE, "guest-registers")
}

/// Builds the Linux program that checks a guest from inside.
pub fn linux_probe() -> Result<PathBuf> {
    guest("linux-probe", "powerpc64le-unknown-linux-gnu", "linux-probe")
}

/// Builds a package under `tests/guests`: each is a workspace whose own configuration names target and flags.
fn guest(directory: &str, target: &str, program: &str) -> Result<PathBuf> {
    let step = Step::new(format!("build {program}"));
    cargo(&mut guest_cargo("build", directory)?)?;
    drop(step);
    Ok(paths::target().join(target).join("release").join(program))
}

/// A cargo command for a package under `tests/guests`.
pub fn guest_cargo(command: &str, directory: &str) -> Result<Command> {
    let mut cargo = bootstrap_cargo(command)?;
    cargo.current_dir(paths::root().join("tests/guests").join(directory));
    cargo.args(["--release", "--target-dir"]).arg(paths::target());
    Ok(cargo)
}

/// Everything that `scripts/build` can be told.
#[derive(Args, Clone, Debug)]
pub struct BuildArgs {
    /// With delays between looking at an entry and swapping it, so that races which are rare are lost now and then; for tests
    #[arg(long)]
    delays: bool,
}

/// `scripts/build`.
pub fn report(args: &BuildArgs) -> Result<exit::Code> {
    let built = if args.delays { delayed()? } else { hypervisor()? };
    println!("{}", built.elf_path.display());
    println!("text+data: {} bytes", flat::text_and_data(&built.elf)?);
    Ok(exit::Code::PoweredOff)
}

/// A cargo command for the bare-metal target.
pub fn bare(command: &str, arguments: &[&str]) -> Result<Command> {
    let target = paths::root().join(format!("platform/{BARE}.json"));
    let mut cargo = bootstrap_cargo(command)?;
    cargo.args(arguments).args(["--release", "-Zjson-target-spec", "-Zbuild-std=core,alloc,compiler_builtins"]);
    cargo.args(["-Zbuild-std-features=compiler-builtins-mem", "--target"]).arg(target);
    Ok(cargo)
}

/// The pinned cargo, allowed to build core from source.
fn bootstrap_cargo(command: &str) -> Result<Command> {
    let mut cargo = Command::new("cargo");
    cargo.arg(command).current_dir(paths::root()).env("RUSTC_BOOTSTRAP", "1");
    setup::rust_src()?.point(&mut cargo);
    Ok(cargo)
}

fn cargo(command: &mut Command) -> Result<()> {
    proc::output(command).map(drop)
}
