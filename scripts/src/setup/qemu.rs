//! QEMU for POWER machines, and a disassembler for POWER binaries.

use super::apt::{self, Apt, Scope};
use crate::proc;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = "qemu-system-ppc64";
const PACKAGE: &str = "qemu-system-ppc";
const BINUTILS: &str = "binutils-powerpc64le-linux-gnu";
/// The first release whose nested virtualization and VOF firmware do all that is asked of them here.
const OLDEST: u32 = 10;

/// A QEMU that is new enough, installed if need be.
pub fn qemu() -> Result<PathBuf> {
    if let Some(program) = recent(proc::find(PROGRAM)) {
        return Ok(program);
    }
    install_qemu()?;
    recent(proc::find(PROGRAM))
        .with_context(|| format!("{PACKAGE} was installed, but {PROGRAM} {OLDEST} or later is not on PATH"))
}

/// `objdump` for POWER, installed if need be.
pub fn objdump() -> Result<PathBuf> {
    const PROGRAM: &str = "powerpc64le-linux-gnu-objdump";
    if let Some(program) = proc::find(PROGRAM) {
        return Ok(program);
    }
    let (sources, _) = apt::machine_and_backports();
    Apt::open("machine", Scope::Machine, &sources)?.install(&[BINUTILS], None)?;
    proc::find(PROGRAM).with_context(|| format!("{BINUTILS} was installed, but {PROGRAM} is not on PATH"))
}

fn recent(program: Option<PathBuf>) -> Option<PathBuf> {
    program.filter(|program| version(program).is_some_and(|version| version >= OLDEST))
}

fn version(program: &Path) -> Option<u32> {
    let text = proc::output(Command::new(program).arg("--version")).ok()?;
    major(text.split("version ").nth(1)?)
}

fn install_qemu() -> Result<()> {
    let (sources, backports) = apt::machine_and_backports();
    let apt = Apt::open("machine", Scope::Machine, &sources)?;
    let versions = apt.versions(PACKAGE)?;
    let fits = |(version, suite): &&(String, String)| packaged(version) >= Some(OLDEST) && !suite.is_empty();
    match versions.iter().find(fits) {
        Some((_, suite)) => apt
            .install(&[PACKAGE], backports.as_deref().filter(|backports| suite == backports))
            .with_context(|| format!("QEMU {OLDEST} or later is needed")),
        None => bail!(
            "no package {PACKAGE} {OLDEST} or later is known to apt here: install QEMU {OLDEST} or later so that {PROGRAM} is on PATH"
        ),
    }
}

/// The major version of a Debian version, `10` of `1:10.0.2+ds-2`.
fn packaged(version: &str) -> Option<u32> {
    major(version.split_once(':').map_or(version, |(_, rest)| rest))
}

fn major(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_no_part_of_the_major_version() {
        assert_eq!(packaged("1:10.0.2+ds-2+deb13u1~bpo12+1"), Some(10));
        assert_eq!(packaged("1:7.2+dfsg-7"), Some(7));
        assert_eq!(packaged("garbage"), None);
    }
}
