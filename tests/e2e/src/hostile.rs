//! A guest of our own that does everything a guest must not do, and counts how it was answered.

use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

const CPUS: [&str; 2] = ["power9", "power10"];

/// One case for each processor.
pub fn cases() -> Vec<Case> {
    CPUS.map(|cpu| Case::new(format!("hostile/{cpu}"), move |setting| attack(setting, cpu))).into()
}

fn attack(setting: &Setting, cpu: &str) -> Result<String> {
    let ended = run(setting, &["--kernel", text(&setting.hostile)?, "--cpu", cpu, "--timeout", "180"])?;
    let ended = ended.with_code(0)?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    let summary = ended.console.lines().filter_map(|line| line.trim().strip_prefix("hostile: ")).next_back();
    let summary = summary.context("the hostile guest printed no summary")?;
    ensure!(summary.ends_with("0 failed"), "{summary}");
    Ok(summary.to_owned())
}
