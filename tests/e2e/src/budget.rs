//! Guests whose memory is larger than what they are given.

use crate::matrix::POWERNV10;
use crate::session::{run, text};
use crate::stats::Stats;
use crate::{Case, Setting};
use anyhow::{Result, ensure};

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("budget/verified", |setting| verified(setting, &[])),
        Case::new("budget/verified/powernv10", |setting| verified(setting, &POWERNV10.options)),
        Case::new("budget/incompressible", incompressible),
        Case::new("budget/overcommit", overcommit),
    ]
}

/// What the probe writes and verifies, and how often.
const WORK: &str = "linux-probe overcommit 600M 2";
const WORK_DONE: &str = "overcommit ok 629145600 bytes 2 times";
/// At least so many pages go out, and as many come back.
const MOVED: u64 = 200_000;

/// 600 MiB of data that compresses five to one, in a guest of 1 GiB that gets 256 MiB.
fn overcommit(setting: &Setting) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("stats.json");
    let guest = ["--memory", "1G", "--budget", "256M", "--add", text(&setting.probe)?, "--batch", WORK];
    run(setting, &[&guest[..], &["--stats", text(&file)?]].concat())?.with_code(0)?.printing(WORK_DONE)?;
    let stats = Stats::read(&file)?;
    stats.check_pages()?;
    let moved = stats.check_store(256 << 20)?;
    ensure!(moved.out >= MOVED && moved.back >= MOVED, "only {} pages out and {} back", moved.out, moved.back);
    ensure!((4.5..=6.0).contains(&moved.ratio), "compressed {:.1} : 1", moved.ratio);
    let waits = stats.waits();
    Ok(format!("{} pages out, {} back, compressed {:.1} : 1, {waits} waits", moved.out, moved.back, moved.ratio))
}

/// 200 MiB of files in a guest of 1 GiB that gets 96 MiB, read back and compared.
fn verified(setting: &Setting, machine: &[&str]) -> Result<String> {
    let block = r#"yes "block $i of some text that repeats" | head -c 10485760"#;
    let each = |work: &str| format!("i=0; while [ $i -lt 20 ]; do {work}; i=$((i+1)); done");
    let write = each(&format!("{block} > /m/$i"));
    let compare = each(&format!("{block} | cmp - /m/$i && echo kept-$i-$((i*2))"));
    let batch = format!("mkdir /m; mount -t tmpfs -o size=80% t /m; {write}; {compare}");
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("stats.json");
    let guest = ["--budget", "96M", "--stats", text(&file)?, "--batch", &batch];
    let mut ended = run(setting, &[&guest[..], machine].concat())?.with_code(0)?;
    for i in 0..20 {
        ended = ended.printing(&format!("kept-{i}-{}", i * 2))?;
    }
    let stats = Stats::read(&file)?;
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

/// The probe's data, which is to compress as the case above says.
#[cfg(test)]
#[path = "../../guests/linux-probe/src/compressible.rs"]
mod compressible;

#[cfg(test)]
mod tests {
    use super::compressible::word;
    use std::collections::BTreeSet;

    fn page(number: u64, pass: u64) -> Vec<u8> {
        (number * 512..(number + 1) * 512).flat_map(|index| word(index, pass).to_le_bytes()).collect()
    }

    #[test]
    fn each_page_of_the_probe_fills_three_fragments_of_a_frame_that_has_fifteen() {
        for (number, pass) in (0..64).flat_map(|number| (0..4).map(move |pass| (number * 2401, pass))) {
            let bytes = lz4_flex::block::compress(&page(number, pass)).len();
            assert!((2 * 248..3 * 248 - 12).contains(&bytes), "{bytes} bytes");
        }
    }

    #[test]
    fn no_page_holds_what_another_one_holds_nor_what_it_held_in_another_pass() {
        let all: BTreeSet<_> = (0..512).flat_map(|number| (0..4).map(move |pass| page(number, pass))).collect();
        assert_eq!(all.len(), 512 * 4);
    }
}
