//! Single files and directories out of Debian packages, without installing them.

use crate::proc;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// Unpacks what matches `pattern` (as tar spells it, `./boot/vmlinux-*`) into `dir`, without its first `strip` parts.
pub fn unpack(deb: &Path, pattern: &str, strip: usize, dir: &Path) -> Result<()> {
    let mut data = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let pipe = data.stdout.take().context("dpkg-deb has no output")?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "--wildcards", &format!("--strip-components={strip}"), "-C"]).arg(dir).arg(pattern);
    let unpacked = tar.stdin(pipe).status().with_context(|| format!("cannot start {}", proc::shown(&tar)))?;
    let read = data.wait()?;
    match unpacked.success() && read.success() {
        true => Ok(()),
        false => bail!("{} holds no {pattern}, or could not be unpacked into {}", deb.display(), dir.display()),
    }
}
