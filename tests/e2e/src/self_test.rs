//! The hypervisor's self-test on each bare machine, and that a broken expectation makes its line fail.

use crate::session::{Ended, run};
use crate::{Case, Extent, Setting};
use anyhow::{Context, Result, ensure};

const MACHINES: [&str; 3] = ["powernv9", "powernv10", "powernv10-rainier"];
const CPUS: [&str; 3] = ["1", "2", "4"];

/// What is expected and is not so, and the line that has to say it.
struct Broken {
    name: &'static str,
    words: &'static str,
    /// The beginning of the line.
    fails: &'static str,
}

const BROKEN: &[Broken] = &[
    Broken { name: "cpu-missing", words: "samewise.expect-cpus=4", fails: "self-test: FAIL cpus: 2 threads" },
    Broken { name: "timebase-off", words: "samewise.inject=timebase", fails: "self-test: FAIL timebase: PIR" },
    Broken {
        name: "device-removed",
        // The devices of powernv10-rainier, on a machine that has none.
        words: "samewise.expect-i2c=1e:63",
        fails: "self-test: FAIL i2c-expected: 1e:63",
    },
    Broken { name: "memory-bit", words: "samewise.inject=memory", fails: "self-test: FAIL memory-pattern: 0x" },
];

/// Every machine with every number of CPUs, or each of both once; and what has to fail.
pub fn cases(extent: Extent) -> Vec<Case> {
    let all = MACHINES.iter().enumerate().flat_map(|pair| CPUS.iter().enumerate().map(move |cpus| (pair, cpus)));
    let taken = all.filter(|((machine, _), (cpus, _))| extent == Extent::Full || machine == cpus);
    let passing = taken.map(|((_, &machine), (_, &cpus))| {
        Case::new(format!("self-test/{machine}/{cpus}"), move |setting| passes(setting, machine, cpus))
    });
    let failing = BROKEN
        .iter()
        .map(|broken| Case::new(format!("self-test/broken/{}", broken.name), |setting| fails(setting, broken)));
    passing.chain(failing).collect()
}

fn passes(setting: &Setting, machine: &str, cpus: &str) -> Result<String> {
    let expected = format!("samewise.expect-cpus={cpus}");
    let options = ["--platform", machine, "--self-test", "--host-cpus", cpus, "--append", &expected];
    let ended = run(setting, &options)?.with_code(0)?.printing(", 0 failed")?;
    ensure!(!ended.console.contains("self-test: FAIL"), "a line failed:\n{}", &*ended.console);
    if machine == "powernv10-rainier" {
        for driven in ["ok   i2c-pca9552: 1e:63", "ok   i2c-pca9554: 1e:25"] {
            ensure!(ended.console.contains(driven), "no line {driven}");
        }
    }
    summary(&ended)
}

/// Exactly the one line fails.
fn fails(setting: &Setting, broken: &Broken) -> Result<String> {
    let options = ["--platform", "powernv10", "--self-test", "--host-cpus", "2", "--append", broken.words];
    let ended = run(setting, &options)?.with_code(1)?.printing(broken.fails)?.printing(", 1 failed")?;
    summary(&ended)
}

/// `37 passed, 0 failed`.
fn summary(ended: &Ended) -> Result<String> {
    let last = ended.console.lines().rev().find(|line| line.contains(" passed, ")).context("no last line")?;
    Ok(last.trim().trim_start_matches("self-test: ").to_owned())
}
