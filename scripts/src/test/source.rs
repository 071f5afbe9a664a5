//! Checks of the source: format, lints, tests on the host, documentation.

use super::Check;
use super::mutants::{list, suite::Suite};
use crate::{build, paths, proc};
use anyhow::Result;
use std::process::Command;

/// Packages whose tests run on the host.
const HOST: [&str; 8] = ["ppc64-arch", "hv-core", "opal-wire", "machine", "model", "mmu-bench", "e2e", "scripts"];
/// Workspaces of their own, for other targets.
const GUESTS: [&str; 4] = ["hostile", "linux-probe", "measure", "registers"];

/// All of them.
pub fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new("source/format", format),
        Check::new("source/clippy", || quiet(&mut cargo(&["clippy", "-q", "--all-targets", "--", "-D", "warnings"]))),
        Check::new("source/clippy-bare", || {
            quiet(build::bare("clippy", &["-q", "-p", "platform"])?.args(["--", "-D", "warnings"]))
        }),
    ];
    checks.push(Check::new("source/mutants-fit", list::fit));
    checks.extend(GUESTS.map(|guest| Check::new(format!("source/clippy-{guest}"), move || clippy_guest(guest))));
    checks.extend(HOST.map(|package| Check::new(format!("host-tests/{package}"), move || host_tests(package))));
    checks.push(Check::new("host-tests/example", example));
    checks.push(Check::new("host-tests/interleavings", || modelled(Suite::Loom)));
    checks.push(Check::new("host-tests/long-runs", || modelled(Suite::Shuttle)));
    checks.push(Check::new("source/doc", || {
        quiet(cargo(&["doc", "-q", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    }));
    checks
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(paths::root());
    command
}

fn quiet(command: &mut Command) -> Result<String> {
    proc::output(command).map(|_| "clean".into())
}

fn format() -> Result<String> {
    quiet(&mut cargo(&["fmt", "--all", "--", "--check", "--color", "never"]))?;
    for guest in GUESTS {
        let manifest = format!("tests/guests/{guest}/Cargo.toml");
        quiet(&mut cargo(&["fmt", "--manifest-path", &manifest, "--", "--check", "--color", "never"]))?;
    }
    Ok("clean".into())
}

fn clippy_guest(guest: &str) -> Result<String> {
    quiet(build::guest_cargo("clippy", guest)?.args(["-q", "--", "-D", "warnings"]))
}

fn host_tests(package: &str) -> Result<String> {
    let output = proc::output(&mut cargo(&["test", "-p", package]))?;
    Ok(format!("{} tests", passed(&output)))
}

/// The example of the memory half: another hypervisor's author begins there. It checks what it says.
fn example() -> Result<String> {
    let output = proc::output(&mut cargo(&["run", "-q", "-p", "hv-core", "--example", "two_guests"]))?;
    Ok(output.lines().last().unwrap_or_default().to_owned())
}

/// Every order of what two CPUs do at once, within the bounds that the tests state; or long runs of three in random orders. Each needs a build of its own.
fn modelled(suite: Suite) -> Result<String> {
    let mut command = suite.cargo();
    command.arg("--target-dir").arg(paths::target().join(suite.name())).current_dir(paths::root());
    Ok(format!("{} tests", passed(&proc::output(&mut command)?)))
}

/// The sum of all `test result: ok. N passed; …` lines.
fn passed(output: &str) -> u64 {
    let results = output.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    results.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_of_all_programs_are_added_up() {
        let output = "test result: ok. 12 passed; 0 failed\nx\ntest result: ok. 3 passed; 0 failed\n";
        assert_eq!(passed(output), 15);
    }
}
