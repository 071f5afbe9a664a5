//! The source of core and alloc for exactly the pinned compiler: the bare-metal target is built from it.
//!
//! rustup's own component is used where it is there or can be had quickly. Elsewhere Debian packages the same source:
//! the version that equals `rustc --version` is unpacked into the cache, and cargo is pointed at it.

use super::apt::{self, Apt, Scope};
use crate::{paths, proc};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PACKAGE: &str = "rust-src";
/// Where every recent version stands.
const SUITE: &str = "trixie-backports";
/// A server that can be reached delivers the component well within this.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(40);

/// Where rust-src stands.
pub enum RustSrc {
    /// In the toolchain: cargo finds it.
    Toolchain(PathBuf),
    /// Unpacked from a Debian package: cargo has to be told.
    Unpacked(PathBuf),
}

impl RustSrc {
    /// Tells cargo where to look.
    pub fn point(&self, cargo: &mut Command) {
        if let Self::Unpacked(library) = self {
            cargo.env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
        }
    }

    /// For people.
    pub fn shown(&self) -> String {
        match self {
            Self::Toolchain(library) => format!("{} (rustup)", library.display()),
            Self::Unpacked(library) => format!("{} (Debian)", library.display()),
        }
    }
}

/// Finds or fetches rust-src.
pub fn rust_src() -> Result<RustSrc> {
    let toolchain = toolchain_library()?;
    let unpacked = unpacked_library()?;
    if toolchain.is_dir() {
        Ok(RustSrc::Toolchain(toolchain))
    } else if unpacked.is_dir() {
        Ok(RustSrc::Unpacked(unpacked))
    } else if rustup_adds_it() && toolchain.is_dir() {
        Ok(RustSrc::Toolchain(toolchain))
    } else {
        fetch(&unpacked).map(|()| RustSrc::Unpacked(unpacked))
    }
}

/// The version of the pinned compiler, `1.95.0`.
fn version() -> Result<String> {
    let text = proc::output(rustc().arg("--version"))?;
    text.split_whitespace().nth(1).map(str::to_owned).context("rustc --version names no version")
}

fn rustc() -> Command {
    let mut command = Command::new("rustc");
    command.current_dir(paths::root());
    command
}

fn toolchain_library() -> Result<PathBuf> {
    let sysroot = proc::output(rustc().args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library"))
}

fn unpacked_library() -> Result<PathBuf> {
    let version = version()?;
    Ok(paths::cache("rust-src")?.join(&version).join("usr/src").join(format!("rustc-{version}")).join("library"))
}

fn rustup_adds_it() -> bool {
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", PACKAGE]).current_dir(paths::root());
    let quiet = rustup.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let waited = quiet.map(|mut child| proc::wait_until(&mut child, Instant::now() + RUSTUP_PATIENCE));
    matches!(waited, Ok(Ok(Some(status))) if status.success())
}

/// Unpacks beside the final place and renames, so that an interrupted fetch leaves nothing that looks whole.
fn fetch(library: &Path) -> Result<()> {
    let package = Apt::open("rust-src", Scope::Download(None), &apt::debian(&[SUITE])?)?;
    let version = version()?;
    let place = library.parent().context("the library has a parent")?;
    let parts = tempfile::tempdir_in(paths::cache("rust-src")?)?;
    let wanted = format!("{PACKAGE}={}", packaged(&package, &version)?);
    package.unpack(&wanted, &format!("./usr/src/rustc-{version}/library"), 4, parts.path())?;
    std::fs::create_dir_all(place)?;
    std::fs::rename(parts.path().join("library"), library).context("cannot put rust-src in place")
}

fn packaged(apt: &Apt, version: &str) -> Result<String> {
    let versions = apt.versions(PACKAGE)?;
    let same = |packaged: &&(String, String)| upstream(&packaged.0) == version;
    match versions.iter().find(same) {
        Some((version, _)) => Ok(version.clone()),
        None => {
            bail!("no Debian {PACKAGE} {version}: run `rustup component add {PACKAGE}` where its server can be reached")
        }
    }
}

/// `1.95.0` of `1.95.0+dfsg1-2~bpo13+1`.
fn upstream(version: &str) -> &str {
    version.split(['+', '-', '~']).next().unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_version_is_what_stands_before_debian_s_own_parts() {
        assert_eq!(upstream("1.95.0+dfsg1-2~bpo13+1"), "1.95.0");
        assert_eq!(upstream("1.95.0-1"), "1.95.0");
    }
}
