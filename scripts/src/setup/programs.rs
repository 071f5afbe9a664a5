//! Programs of Debian's for the guest's initramfs: each with the loader and the libraries that it names, and nothing else of their packages.
//!
//! What is cached is one archive with each file at its path. The kernel unpacks archives that stand one behind the other, so it is put behind the
//! default one as it is.

use super::apt::Apt;
use super::guests::{self, STABLE};
use crate::image::archive::Archive;
use crate::paths;
use anyhow::{Context, Result};
use clap::ValueEnum;
use elf::ElfBytes;
use elf::abi::{DT_NEEDED, PT_INTERP};
use elf::endian::LittleEndian;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A program of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// Load of many kinds, with verification
    StressNg,
    /// Starts one kernel from another; the guest's own kernel is put beside it, as vmlinux
    Kexec,
}

/// All of them.
pub const ALL: [Program; 2] = [Program::StressNg, Program::Kexec];

const ARCHIVE: &str = "program.cpio";

impl Program {
    /// Its package.
    pub fn package(self) -> &'static str {
        match self {
            Self::StressNg => "stress-ng",
            Self::Kexec => "kexec-tools",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::StressNg => "usr/bin/stress-ng",
            Self::Kexec => "sbin/kexec",
        }
    }

    /// The archive that an initramfs ends with.
    pub fn archive(self) -> Result<PathBuf> {
        let place = paths::cache("guests")?.join(self.package());
        guests::cached(&place, ARCHIVE, |apt, dir| self.fetch(apt, dir))
    }

    /// Packs what is needed into the directory, and tells which package it is from.
    fn fetch(self, apt: &Apt, dir: &Path) -> Result<String> {
        let tree = tempfile::tempdir()?;
        let package = format!("{}/{STABLE}", self.package());
        apt.unpack_all(&apt.needed(&package)?, tree.path())?;
        fs::write(dir.join(ARCHIVE), pack(&closure(tree.path(), self.path())?)?)?;
        Ok(package)
    }
}

/// Contents by path.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The program, its loader, and the libraries that it and they name.
fn closure(tree: &Path, path: &str) -> Result<Files> {
    let program = fs::read(tree.join(path)).context("the package holds no program")?;
    let loader = loader(&program)?;
    let mut files = Files::from([(loader.clone(), read(tree, &tree.join(&loader))?)]);
    let there = libraries(tree)?;
    let mut wanted = needed(&program)?;
    // The loader is a library as well, and is there already.
    let mut taken: BTreeSet<String> = loader.file_name().map(|name| name.display().to_string()).into_iter().collect();
    files.insert(path.into(), program);
    while let Some(name) = wanted.pop() {
        if taken.insert(name.clone()) {
            let path = there.get(&name).with_context(|| format!("no package holds {name}"))?;
            let library = read(tree, &tree.join(path))?;
            wanted.extend(needed(&library)?);
            files.insert(path.clone(), library);
        }
    }
    Ok(files)
}

/// The path of each library by its name, from the top of the tree.
fn libraries(tree: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut there = BTreeMap::new();
    for dir in ["lib/powerpc64le-linux-gnu", "usr/lib/powerpc64le-linux-gnu"] {
        for entry in fs::read_dir(tree.join(dir)).into_iter().flatten() {
            let name = entry?.file_name().display().to_string();
            there.insert(name.clone(), Path::new(dir).join(name));
        }
    }
    Ok(there)
}

/// What a path of the tree leads to: links that begin at the root begin at the tree's.
fn read(tree: &Path, path: &Path) -> Result<Vec<u8>> {
    let Ok(target) = fs::read_link(path) else {
        return fs::read(path).with_context(|| format!("no package holds {}", path.display()));
    };
    let next = match target.strip_prefix("/") {
        Ok(from_root) => tree.join(from_root),
        Err(_) => path.parent().unwrap_or(tree).join(target),
    };
    read(tree, &next)
}

/// The names of the libraries that an ELF file needs.
fn needed(bytes: &[u8]) -> Result<Vec<String>> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(bytes)?;
    let found = elf.find_common_data()?;
    let (Some(dynamic), Some(names)) = (found.dynamic, found.dynsyms_strs) else { return Ok(vec![]) };
    let offsets = dynamic.iter().filter(|entry| entry.d_tag == DT_NEEDED).map(|entry| entry.d_val());
    offsets.map(|offset| Ok(names.get(usize::try_from(offset)?)?.to_owned())).collect()
}

/// The path of the loader, from the root.
fn loader(bytes: &[u8]) -> Result<PathBuf> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(bytes)?;
    let segments = elf.segments().context("the program has no segments")?;
    let segment = segments.iter().find(|segment| segment.p_type == PT_INTERP).context("the program names no loader")?;
    let text = elf.segment_data(&segment)?;
    let path = str::from_utf8(text)?.trim_end_matches('\0');
    Ok(path.trim_start_matches('/').into())
}

fn pack(files: &Files) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    let directories: BTreeSet<&Path> = files.keys().flat_map(|path| path.ancestors().skip(1)).collect();
    let named = directories.iter().filter(|path| !path.as_os_str().is_empty());
    named.into_iter().try_for_each(|path| archive.directory(&path.display().to_string()))?;
    files.iter().try_for_each(|(path, contents)| archive.program(&path.display().to_string(), contents))?;
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_that_begins_at_the_root_stays_in_the_tree() {
        let tree = tempfile::tempdir().unwrap();
        let at = |path: &str| tree.path().join(path);
        fs::create_dir_all(at("lib/real")).unwrap();
        fs::write(at("lib/real/ld.so"), b"loader").unwrap();
        symlink("/lib/real/ld.so.2", at("lib/ld.so")).unwrap();
        symlink("ld.so", at("lib/real/ld.so.2")).unwrap();
        assert_eq!(read(tree.path(), &at("lib/ld.so")).unwrap(), b"loader");
        assert!(read(tree.path(), &at("lib/other")).is_err());
    }

    #[test]
    fn directories_come_before_what_is_in_them() {
        let files = Files::from([("usr/bin/x".into(), b"program".to_vec())]);
        let bytes = pack(&files).unwrap();
        let place = |name: &[u8]| bytes.windows(name.len()).position(|window| window == name).unwrap();
        assert!(place(b"usr\0") < place(b"usr/bin\0") && place(b"usr/bin\0") < place(b"usr/bin/x\0"));
    }

    #[test]
    fn this_program_names_its_loader_and_a_library() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(loader(&own).unwrap().is_relative());
        assert!(needed(&own).unwrap().iter().any(|name| name.starts_with("libc.so")));
    }
}
