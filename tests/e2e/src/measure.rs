//! The guest that measures, run once so that it can be relied on: here time passes as it does, so what it prints are no instructions.

use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::{Result, ensure};

/// What has to be told: each phase ran.
const FIGURES: [&str; 9] = [
    "null-hcall",
    "prod-cede",
    "zero-write-4k",
    "second-touch",
    "upgrade",
    "zero-read",
    "image-map",
    "image-copy",
    "unmap",
];

/// The same of a hash guest.
const HASH_FIGURES: [&str; 11] = [
    "null-hcall",
    "zero-write-4k",
    "enter-absent",
    "mapped-zero-write",
    "enter",
    "enter-exact",
    "read",
    "protect",
    "remove",
    "mapped-touch",
    "told",
];

/// With and without a budget, and a hash guest.
pub fn cases() -> Vec<Case> {
    vec![Case::new("measure/phases", phases), Case::new("measure/page-in", page_in), Case::new("measure/hash", hash)]
}

fn phases(setting: &Setting) -> Result<String> {
    measured(setting, &["--granule", "4k", "--append", "samewise.bench=on"], &FIGURES)
}

fn page_in(setting: &Setting) -> Result<String> {
    let append = "samewise.bench=on measure=page-in";
    measured(setting, &["--budget", "64M", "--append", append], &["page-out", "page-in"])
}

fn hash(setting: &Setting) -> Result<String> {
    let options = ["--platform", "powernv10", "--mmu", "hash", "--granule", "4k", "--append", "measure=hash"];
    measured(setting, &options, &HASH_FIGURES)
}

fn measured(setting: &Setting, options: &[&str], figures: &[&str]) -> Result<String> {
    let common = ["--kernel", text(&setting.measure)?, "--one-page", "--timeout", "120"];
    let ended = run(setting, &[&common[..], options].concat())?.with_code(0)?.printing("measure: done")?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    for figure in figures {
        let begins = format!("measure: {figure} ");
        ensure!(ended.console.lines().any(|line| line.trim().starts_with(&begins)), "{figure} was not measured");
    }
    Ok(format!("{} figures", figures.len()))
}
