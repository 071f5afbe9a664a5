//! apt with lists and caches of its own, so that the machine's package configuration stays as it was.
//!
//! A [`Apt`] is a directory in the user's cache that holds derived sources, index files and downloads, for any
//! architecture. Signatures are checked as always; root is needed only to install.

use super::deb;
use super::sources::{self, Source};
use crate::proc;
use crate::ui::Step;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Names a Debian mirror on machines whose own sources name none (Ubuntu).
pub const MIRROR_VARIABLE: &str = "SAMEWISE_DEBIAN_MIRROR";
const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Indices younger than this are not fetched again.
const FRESH: Duration = Duration::from_secs(600);

/// What a private apt is for: it may install on this machine, or only download for some architecture.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Machine,
    /// Downloads for this machine's architecture, or for another.
    Download(Option<&'static str>),
}

/// A private apt.
pub struct Apt {
    root: PathBuf,
    scope: Scope,
}

impl Apt {
    /// Prepares the directory and fetches the indices of the sources.
    pub fn open(name: &str, scope: Scope, sources: &[Source]) -> Result<Self> {
        let root = crate::paths::cache(&format!("apt/{name}"))?;
        for dir in ["sources", "lists/partial", "cache/archives/partial"] {
            crate::paths::made(root.join(dir))?;
        }
        fs::write(root.join("status"), "")?;
        let apt = Self { root, scope };
        let wanted: String = sources.iter().map(Source::stanza).collect();
        if !apt.is_fresh(&wanted) {
            let step = Step::new(format!("package index ({name})"));
            apt.update(&wanted, &step).with_context(|| format!("cannot fetch the package index of\n{wanted}"))?;
        }
        Ok(apt)
    }

    /// Whether the indices of just these sources were fetched a short while ago.
    fn is_fresh(&self, wanted: &str) -> bool {
        let stamp = self.root.join("updated");
        let age = fs::metadata(&stamp).and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age < FRESH) && fs::read_to_string(&stamp).is_ok_and(|text| text == wanted)
    }

    fn update(&self, wanted: &str, step: &Step) -> Result<()> {
        fs::write(self.root.join("sources/derived.sources"), wanted)?;
        self.follow(self.command("apt-get").arg("update"), step)?;
        Ok(fs::write(self.root.join("updated"), wanted)?)
    }

    /// The versions of a package as (version, suite), in apt's order.
    pub fn versions(&self, package: &str) -> Result<Vec<(String, String)>> {
        Ok(madison(&proc::output(self.command("apt-cache").args(["madison", package]))?))
    }

    /// What the first version in `suite` of a metapackage depends on, by the name's start.
    pub fn dependency(&self, package: &str, suite: &str, start: &str) -> Result<String> {
        let listing = proc::output(self.command("apt-cache").args(["depends", &format!("{package}/{suite}")]))?;
        let names = listing.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        names
            .into_iter()
            .find(|name| name.starts_with(start))
            .map(str::to_owned)
            .with_context(|| format!("{package} in {suite} depends on no {start}…"))
    }

    /// The names of a package and of all that it depends on, however far.
    pub fn needed(&self, package: &str) -> Result<Vec<String>> {
        let words = ["depends", "--recurse", "--important", package];
        let listing = proc::output(self.command("apt-cache").args(words))?;
        Ok(real(&listing))
    }

    /// Downloads one package (`name`, `name=version` or `name/suite`), checked against the signed index, and unpacks what
    /// matches `pattern` into `into`, without the first `strip` parts of its path.
    pub fn unpack(&self, package: &str, pattern: &str, strip: usize, into: &Path) -> Result<()> {
        let dir = self.download(package, &[package.to_owned()])?;
        let file = debs(dir.path())?.pop().with_context(|| format!("apt-get downloaded no file for {package}"))?;
        deb::unpack(&file, pattern, strip, into)
    }

    /// Downloads packages, checked likewise, and unpacks all that they hold into one tree.
    pub fn unpack_all(&self, packages: &[String], into: &Path) -> Result<()> {
        let dir = self.download(&format!("{} packages", packages.len()), packages)?;
        debs(dir.path())?.iter().try_for_each(|file| deb::unpack(file, "./*", 0, into))
    }

    fn download(&self, what: &str, packages: &[String]) -> Result<tempfile::TempDir> {
        let step = Step::new(format!("download {what}"));
        let dir = tempfile::tempdir_in(&self.root)?;
        self.follow(self.command("apt-get").arg("download").args(packages).current_dir(&dir), &step)?;
        Ok(dir)
    }

    /// Installs packages on this machine, preferring a suite if one is given.
    pub fn install(&self, packages: &[&str], suite: Option<&str>) -> Result<()> {
        let mut command = match Privilege::find() {
            Some(Privilege::Root) => self.command("apt-get"),
            Some(Privilege::Sudo) => self.sudo(),
            None => {
                bail!("installing needs root: run `apt-get install {}` as root, then try again", packages.join(" "))
            }
        };
        command
            .args(["install", "--yes", "--no-install-recommends"])
            .args(suite.map(|suite| format!("--target-release={suite}")));
        let step = Step::new(format!("install {}", packages.join(", ")));
        self.follow(command.args(packages).env("DEBIAN_FRONTEND", "noninteractive"), &step)?;
        step.done("installed");
        Ok(())
    }

    fn sudo(&self) -> Command {
        let mut command = Command::new("sudo");
        command.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(self.options());
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(self.options());
        command
    }

    /// Everything apt would otherwise read from or write to the machine's own directories.
    fn options(&self) -> Vec<String> {
        let at = |key: &str, path: &str| format!("-oDir::{key}={}", self.root.join(path).display());
        let mut options = vec![at("Etc::sourceparts", "sources"), at("State::lists", "lists"), at("Cache", "cache")];
        let plain = [
            "Dir::Etc::sourcelist=/dev/null",
            "Acquire::Languages=none",
            "Acquire::Retries=3",
            "APT::Sandbox::User=",
            "APT::Status-Fd=1",
        ];
        options.extend(plain.map(|option| format!("-o{option}")));
        options.extend(["DEP-11", "DEP-11-icons-small", "DEP-11-icons", "DEP-11-icons-hidpi"].map(no_target));
        if let Scope::Download(architecture) = self.scope {
            options.extend([at("State::status", "status"), at("State::extended_states", "extended_states")]);
            options.push("-oAPT::Update::Error-Mode=any".to_owned());
            let keys = architecture
                .map(|name| ["APT::Architecture", "APT::Architectures"].map(|key| format!("-o{key}={name}")));
            options.extend(keys.into_iter().flatten());
        }
        options
    }

    /// Runs apt-get and shows its own count of progress.
    fn follow(&self, command: &mut Command, step: &Step) -> Result<()> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start apt-get (is this Debian or Ubuntu?)")?;
        let errors = child.stderr.take().map(|pipe| std::thread::spawn(move || std::io::read_to_string(pipe)));
        let lines = child.stdout.take().map(|pipe| BufReader::new(pipe).lines()).into_iter().flatten();
        lines.map_while(Result::ok).filter_map(|line| percent(&line)).for_each(|percent| step.percent(percent));
        let status = child.wait()?;
        let errors = errors.and_then(|thread| thread.join().ok()).transpose()?.unwrap_or_default();
        match status.success() {
            true => Ok(()),
            false => bail!("apt-get failed:\n{errors}"),
        }
    }
}

/// How packages can be installed here.
enum Privilege {
    Root,
    Sudo,
}

impl Privilege {
    fn find() -> Option<Self> {
        if rustix::process::geteuid().is_root() {
            return Some(Self::Root);
        }
        proc::output(Command::new("sudo").args(["-n", "true"])).is_ok().then_some(Self::Sudo)
    }
}

/// The machine's own Debian archive, asked for other suites.
pub fn debian(suites: &[&str]) -> Result<Vec<Source>> {
    let derived: Vec<_> = sources::machine()
        .iter()
        .filter(|source| source.is_debian())
        .map(|source| source.with_suites(suites))
        .take(1)
        .collect();
    match (derived.is_empty(), std::env::var(MIRROR_VARIABLE)) {
        (false, _) => Ok(derived),
        (true, Ok(uri)) => Ok(vec![named_mirror(uri, suites)?]),
        (true, Err(_)) => bail!(
            "this machine's apt sources name no Debian archive: set {MIRROR_VARIABLE} to the URL of a Debian mirror"
        ),
    }
}

fn named_mirror(uris: String, suites: &[&str]) -> Result<Source> {
    if !Path::new(DEBIAN_KEYRING).exists() {
        bail!("{DEBIAN_KEYRING} is missing: install the package debian-archive-keyring");
    }
    let any = Source { uris, suites: vec![], components: String::new(), signed_by: Some(DEBIAN_KEYRING.into()) };
    Ok(any.with_suites(suites))
}

/// The machine's sources as they are, and its release's backports where it is Debian.
pub fn machine_and_backports() -> (Vec<Source>, Option<String>) {
    let mut all = sources::machine();
    let backports = codename().map(|codename| format!("{codename}-backports"));
    let debian = all.iter().find(|source| source.is_debian()).cloned();
    match (debian, backports) {
        (Some(debian), Some(suite)) => {
            all.push(debian.with_suites(&[&suite]));
            (all, Some(suite))
        }
        _ => (all, None),
    }
}

fn codename() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// The packages that a download left in a directory.
fn debs(dir: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    Ok(files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect())
}

/// The packages of `apt-cache depends --recurse`: each begins a line, what it depends on is indented, and names that several packages provide
/// are in angle brackets.
fn real(listing: &str) -> Vec<String> {
    listing.lines().filter(|line| !line.starts_with([' ', '|', '<'])).map(str::to_owned).collect()
}

fn no_target(name: &str) -> String {
    format!("-oAcquire::IndexTargets::deb::{name}::DefaultEnabled=false")
}

/// The per cent of a status line: `dlstatus:1:41.5:Retrieving …`.
fn percent(line: &str) -> Option<u64> {
    let mut fields = line.split(':');
    let known = ["dlstatus", "pmstatus"].contains(&fields.next()?);
    let whole = fields.nth(1)?.split('.').next()?.parse().ok()?;
    known.then_some(whole)
}

/// `name | version | uri suite/component arch Packages`
fn madison(text: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let mut columns = line.split('|').skip(1).map(str::trim);
        let (version, place) = (columns.next()?, columns.next()?);
        let suite = place.split_whitespace().nth(1)?.split('/').next()?;
        Some((version.to_owned(), suite.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_with_the_suite_they_stand_in() {
        let rows = madison(
            "  rust-src | 1.95.0+dfsg1-2 | http://mirror.example/debian trixie-backports/main amd64 Packages\n",
        );
        assert_eq!(rows, [("1.95.0+dfsg1-2".to_owned(), "trixie-backports".to_owned())]);
    }

    #[test]
    fn what_a_package_depends_on_is_told_without_what_only_has_a_name() {
        let listing =
            "stress-ng\n  Depends: libc6\n |Depends: <x>\nlibc6\n  Depends: <libgcc>\n    libgcc-s1\n<libgcc>\n";
        assert_eq!(real(listing), ["stress-ng", "libc6"]);
    }

    #[test]
    fn progress_is_read_from_status_lines_and_nothing_else() {
        assert_eq!(percent("dlstatus:1:41.5:Retrieving file 1 of 2"), Some(41));
        assert_eq!(percent("pmstatus:qemu:80.0:Installing"), Some(80));
        assert_eq!(percent("Get:1 http://mirror.example/debian x"), None);
    }
}
