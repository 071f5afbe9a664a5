//! A guest of our own that does everything a guest must not do, and counts how it was answered.

use crate::matrix::{Machine, POWER9, POWER10, POWERNV10};
use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

const MACHINES: [Machine; 3] = [POWER9, POWER10, POWERNV10];

/// One case for each machine.
pub fn cases() -> Vec<Case> {
    MACHINES
        .map(|machine| Case::new(format!("hostile/{}", machine.name), move |setting| attack(setting, machine)))
        .into()
}

fn attack(setting: &Setting, machine: Machine) -> Result<String> {
    let guest = ["--kernel", text(&setting.hostile)?, "--timeout", "180"];
    let ended = run(setting, &[&guest[..], &machine.options].concat())?;
    let ended = ended.with_code(0)?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    let summary = ended.console.lines().filter_map(|line| line.trim().strip_prefix("hostile: ")).next_back();
    let summary = summary.context("the hostile guest printed no summary")?;
    ensure!(summary.ends_with("0 failed"), "{summary}");
    Ok(summary.to_owned())
}
