//! The guests that have names: Debian's own kernels for ppc64el, unmodified, and the busybox of their initramfs.
//!
//! Packages come from the machine's Debian archive, where apt checks signature and hash. What is unpacked is recorded
//! with its SHA-256 and checked again at each use, so that a damaged cache is fetched anew instead of booted.

use super::apt::{self, Apt, Scope};
use crate::paths;
use crate::ui::Step;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: Option<&str> = Some("ppc64el");
pub(super) const STABLE: &str = "bookworm";
const BACKPORTS: &str = "bookworm-backports";

/// A guest that has a name.
pub struct Guest {
    pub name: &'static str,
    metapackage: &'static str,
    suite: &'static str,
}

/// All named guests: 64 KiB pages, 4 KiB pages, and 64 KiB pages again with a newer kernel.
pub const ALL: [Guest; 3] = [
    Guest { name: "debian-6.1", metapackage: "linux-image-powerpc64le", suite: STABLE },
    Guest { name: "debian-6.12", metapackage: "linux-image-powerpc64le", suite: BACKPORTS },
    Guest { name: "debian-6.12-64k", metapackage: "linux-image-powerpc64le-64k", suite: BACKPORTS },
];

/// The guest of that name.
pub fn named(name: &str) -> Option<&'static Guest> {
    ALL.iter().find(|guest| guest.name == name)
}

impl Guest {
    /// The kernel as an ELF file.
    pub fn kernel(&self) -> Result<PathBuf> {
        let place = paths::cache("guests")?.join(self.name);
        cached(&place, "vmlinux", |apt, dir| {
            let package = apt.dependency(self.metapackage, self.suite, "linux-image-")?;
            apt.unpack(&package, "./boot/vmlinux-*", 2, dir).map(|()| package)
        })
    }
}

/// A static busybox for the guest's initramfs.
pub fn busybox() -> Result<PathBuf> {
    let place = paths::cache("guests")?.join("busybox");
    cached(&place, "busybox", |apt, dir| {
        let package = format!("busybox-static/{STABLE}");
        apt.unpack(&package, "./bin/busybox", 2, dir).map(|()| package)
    })
}

/// What stands beside a cached file, to tell whether it is whole and where it came from.
#[derive(Serialize, Deserialize)]
struct Manifest {
    package: String,
    sha256: String,
}

type Fetch<'a> = dyn Fn(&Apt, &Path) -> Result<String> + 'a;

/// A file that is whole, fetched anew if it is not.
pub(super) fn cached(place: &Path, file: &str, fetch: impl Fn(&Apt, &Path) -> Result<String>) -> Result<PathBuf> {
    let path = place.join(file);
    if !is_whole(place, &path) {
        let step = Step::new(format!("guest {}", place.file_name().unwrap_or_default().display()));
        renew(place, &path, &fetch)?;
        step.done("fetched and verified");
    }
    Ok(path)
}

fn is_whole(place: &Path, path: &Path) -> bool {
    let manifest =
        fs::read(place.join("manifest.json")).ok().and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
    let sum = fs::read(path).ok().map(|bytes| sha256(&bytes));
    manifest.zip(sum).is_some_and(|(manifest, sum)| manifest.sha256 == sum)
}

/// Fetches into a directory beside the final one and records the hash last.
fn renew(place: &Path, path: &Path, fetch: &Fetch) -> Result<()> {
    let apt = Apt::open("guests", Scope::Download(ARCHITECTURE), &apt::debian(&[STABLE, BACKPORTS])?)?;
    paths::made(place.into())?;
    let parts = tempfile::tempdir_in(place)?;
    let package = fetch(&apt, parts.path())?;
    let unpacked = fs::read_dir(parts.path())?.flatten().next().with_context(|| format!("{package} held no kernel"))?;
    let bytes = fs::read(unpacked.path())?;
    fs::rename(unpacked.path(), path)?;
    let manifest = Manifest { package, sha256: sha256(&bytes) };
    paths::write_whole(&place.join("manifest.json"), &serde_json::to_vec_pretty(&manifest)?)
}

/// A hash in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
