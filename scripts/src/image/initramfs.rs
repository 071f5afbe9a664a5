//! The default guest's user space: busybox, the script `scripts/guest/init`, and what the user adds.

use super::archive::Archive;
use crate::setup::{self, guests};
use crate::{exit, paths};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

const INIT: &[u8] = include_bytes!("../../guest/init");
const DIRECTORIES: [&str; 7] = ["bin", "dev", "etc", "proc", "root", "sys", "tmp"];

/// What goes in beside the default user space.
#[derive(Default)]
pub struct Extras<'a> {
    /// Shell commands to run instead of an interactive shell, before powering off.
    pub batch: Option<&'a str>,
    /// Files for `/root`.
    pub files: &'a [PathBuf],
    /// stress-ng with its libraries.
    pub stress: bool,
}

/// Writes the initramfs under a name made of its contents and tells where.
pub fn build(extras: &Extras) -> Result<PathBuf> {
    let mut bytes = pack(&fs::read(setup::guests::busybox()?)?, extras)?;
    if extras.stress {
        bytes.extend(fs::read(setup::stress::archive()?)?);
    }
    let path = paths::work("initramfs")?.join(format!("{}.cpio", &guests::sha256(&bytes)[..16]));
    if !path.exists() {
        paths::write_whole(&path, &bytes)?;
    }
    Ok(path)
}

fn pack(busybox: &[u8], extras: &Extras) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    DIRECTORIES.iter().try_for_each(|name| archive.directory(name))?;
    archive.console("dev/console")?;
    archive.program("init", INIT)?;
    archive.program("bin/busybox", busybox)?;
    archive.link("bin/sh", "busybox")?;
    if let Some(commands) = extras.batch {
        archive.program("batch", format!("{commands}\n").as_bytes())?;
    }
    extras.files.iter().try_for_each(|file| add(&mut archive, file))?;
    archive.finish()
}

fn add(archive: &mut Archive, file: &Path) -> Result<()> {
    let contents =
        fs::read(file).map_err(|error| exit::bad_input(format!("cannot add {}: {error}", file.display())))?;
    let name = file.file_name().with_context(|| format!("{} has no name", file.display()))?;
    archive.program(&format!("root/{}", name.display()), &contents)
}
