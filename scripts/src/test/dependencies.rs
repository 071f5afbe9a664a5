//! What the memory half of hv-core drags along: another hypervisor that takes it gets these crates and no others.

use super::Check;
use crate::{paths, proc};
use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::process::Command;

/// The half, alone.
const HALF: [&str; 6] = ["-p", "hv-core", "--no-default-features", "--features", "mmu", "-q"];

/// Every crate that it is made of: no defmt, no device tree, no ELF, nothing that runs only here.
const ALLOWED: [&str; 11] = [
    "hv-core",
    "ppc64-arch",
    "tock-registers",
    "bitflags",
    "spin",
    "heapless",
    "hash32",
    "byteorder",
    "stable_deref_trait",
    "lz4_flex",
    "twox-hash",
];

/// That it builds, and of what.
pub fn checks() -> Vec<Check> {
    vec![Check::new("source/memory-half-alone", builds), Check::new("source/memory-half-dependencies", dependencies)]
}

fn cargo(command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.arg(command).args(HALF).current_dir(paths::root());
    cargo
}

fn builds() -> Result<String> {
    proc::output(&mut cargo("check")).map(|_| "clean".into())
}

fn dependencies() -> Result<String> {
    let listing = proc::output(cargo("tree").args(["-e", "normal", "--prefix", "none"]))?;
    let found = names(&listing);
    let expected = BTreeSet::from(ALLOWED);
    let (new, gone) = (listed(found.difference(&expected)), listed(expected.difference(&found)));
    ensure!(found == expected, "its crates are not those that are listed: new {new}, gone {gone}");
    Ok(format!("{} crates", found.len()))
}

fn listed<'a>(names: impl Iterator<Item = &'a &'a str>) -> String {
    format!("[{}]", names.copied().collect::<Vec<_>>().join(", "))
}

/// The crates of a tree that is printed without branches, one a line.
fn names(listing: &str) -> BTreeSet<&str> {
    listing.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_is_met_twice_counts_once() {
        let listing = "hv-core v0.1.0 (/a/hv-core)\nbitflags v2.13.2\nspin v0.12.3\nbitflags v2.13.2\n";
        assert_eq!(names(listing), BTreeSet::from(["bitflags", "hv-core", "spin"]));
    }
}
