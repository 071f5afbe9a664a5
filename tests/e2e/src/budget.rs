//! Guests whose memory is larger than what they are given.

use crate::session::run;
use crate::stats::Stats;
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};
use std::env;

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![Case::new("budget/verified", verified), Case::new("budget/incompressible", incompressible)]
}

/// 200 MiB of files in a guest of 1 GiB that gets 96 MiB, read back and compared.
fn verified(setting: &Setting) -> Result<String> {
    let text = r#"yes "block $i of some text that repeats" | head -c 10485760"#;
    let each = |work: &str| format!("i=0; while [ $i -lt 20 ]; do {work}; i=$((i+1)); done");
    let write = each(&format!("{text} > /m/$i"));
    let compare = each(&format!("{text} | cmp - /m/$i && echo kept-$i-$((i*2))"));
    let batch = format!("mkdir /m; mount -t tmpfs -o size=80% t /m; {write}; {compare}");
    let path = env::temp_dir().join(format!("samewise-budget-{}.json", std::process::id()));
    let file = path.to_str().context("the temporary directory's name is no text")?;
    let mut ended = run(setting, &["--budget", "96M", "--stats", file, "--batch", &batch])?.with_code(0)?;
    let stats = Stats::read(&path);
    _ = std::fs::remove_file(&path);
    for i in 0..20 {
        ended = ended.printing(&format!("kept-{i}-{}", i * 2))?;
    }
    let stats = stats?;
    stats.check_pages()?;
    let moved = stats.check_store(96 << 20)?;
    ensure!(moved.out > 50_000 && moved.back > 25_000, "only {} pages out and {} back", moved.out, moved.back);
    Ok(format!("{} pages out, {} back, compressed {:.1} : 1", moved.out, moved.back, moved.ratio))
}

/// Random bytes do not compress: the guest is stopped, clearly, when the budget is full of them.
fn incompressible(setting: &Setting) -> Result<String> {
    let batch = "mkdir /m; mount -t tmpfs -o size=80% t /m; dd if=/dev/urandom of=/m/noise bs=1M count=200";
    run(setting, &["--budget", "96M", "--memory", "512M", "--batch", batch])?
        .with_code(12)?
        .printing("no memory was left for the guest")?;
    Ok("stopped with exit code 12".into())
}
