//! One guest on one machine: a single boot in which memory, registers, time, idling and power-off are all looked at.

use crate::session::{BOOT, Session, text};
use crate::stats::Stats;
use crate::{Case, Cell, Company, Setting};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::{Duration, Instant};

/// Three quarters of the guest's 1 GiB.
const PATTERN: &str = "linux-probe pattern 768M";
const PATTERN_PATIENCE: Duration = Duration::from_secs(300);
const FP: &str = "linux-probe fp 5";
const FP_PATIENCE: Duration = Duration::from_secs(120);
const SLEEP: u64 = 5;
/// What `sleep 5` may take by the host's clock.
const SLEEP_RANGE: std::ops::RangeInclusive<f64> = 4.9..=5.5;
const SLEEP_TRIES: u32 = 3;
/// For how long the guest's clock is compared with the host's.
const CLOCK: u64 = 30;
const CLOCK_TOLERANCE: f64 = 0.01;
/// The part of a CPU that QEMU may take while the guest idles.
const IDLE: f64 = 0.20;
const IDLE_SETTLE: Duration = Duration::from_secs(2);
const IDLE_SPAN: Duration = Duration::from_secs(10);

/// The case of one cell.
pub fn case(cell: Cell) -> Case {
    Case::new(format!("guest/{}", cell.name()), move |setting| run(cell, setting)).beside(Company::Alike)
}

fn run(cell: Cell, setting: &Setting) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let stats = dir.path().join("stats.json");
    let options = ["--kernel", cell.kernel, "--granule", cell.granule, "--memory", "1G"];
    let files = ["--add", text(&setting.probe)?, "--stats", text(&stats)?];
    let mut session = Session::start(setting, &[&options[..], &cell.machine.options, &files].concat())?;
    let mut report = vec![boot(&mut session)?];
    session.command(PATTERN, PATTERN_PATIENCE)?;
    session.command(FP, FP_PATIENCE)?;
    report.push(sleep(&mut session)?);
    report.push(clock_and_idle(&mut session)?);
    session.type_line("poweroff")?;
    session.end()?.with_code(0)?;
    report.push(Stats::read(&stats)?.check_pages()?);
    Ok(report.join(", "))
}

fn boot(session: &mut Session) -> Result<String> {
    let ready = session.expect(crate::session::SHELL_READY, BOOT)?;
    Ok(format!("shell after {:.1} s", (ready - session.started()).as_secs_f64()))
}

/// The best of a few tries, since the host may be busy.
fn sleep(session: &mut Session) -> Result<String> {
    let mut tried = Vec::new();
    for _ in 0..SLEEP_TRIES {
        let (host, _) = tick(session, SLEEP, |_| Ok(()))?;
        if SLEEP_RANGE.contains(&host) {
            return Ok(format!("sleep {SLEEP} took {host:.2} s"));
        }
        tried.push(format!("{host:.2}"));
    }
    anyhow::bail!("sleep {SLEEP} took {} s", tried.join(", "))
}

/// While the guest sleeps, QEMU's CPU time is read; when it wakes, its clock is compared.
fn clock_and_idle(session: &mut Session) -> Result<String> {
    let qemu = session.qemu()?;
    let mut idle = 1.0;
    let (host, guest) = tick(session, CLOCK, |_| {
        std::thread::sleep(IDLE_SETTLE);
        idle = cpu_share(qemu, IDLE_SPAN)?;
        Ok(())
    })?;
    let drift = guest / host - 1.0;
    ensure!(drift.abs() <= CLOCK_TOLERANCE, "the guest's clock counted {guest:.3} s in {host:.3} s");
    ensure!(idle < IDLE, "an idle guest keeps QEMU at {:.0} % of a CPU", idle * 100.0);
    Ok(format!("clock off by {:.2} %, idle at {:.0} % CPU", drift * 100.0, idle * 100.0))
}

/// The guest sleeps between two lines: their distance by the host's clock and by the guest's, in seconds.
fn tick(session: &mut Session, seconds: u64, meanwhile: impl FnOnce(&Session) -> Result<()>) -> Result<(f64, f64)> {
    session.type_line(&format!("linux-probe tick {seconds}"))?;
    let start = session.expect("tick start", Duration::from_secs(30))?;
    meanwhile(session)?;
    let end = session.expect("tick end ", Duration::from_secs(4 * seconds + 10))?;
    let nanoseconds: f64 = session.rest_of_line()?.parse().context("the probe's own count")?;
    Ok(((end - start).as_secs_f64(), nanoseconds / 1e9))
}

/// The CPU time that a process takes in a while, as a part of one CPU.
fn cpu_share(process: u32, span: Duration) -> Result<f64> {
    let (start, before) = (Instant::now(), cpu_ticks(process)?);
    std::thread::sleep(span);
    let ticks = cpu_ticks(process)? - before;
    // Linux reports these times in hundredths of a second on every machine that runs Debian.
    Ok(ticks / 100.0 / start.elapsed().as_secs_f64())
}

fn cpu_ticks(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("QEMU is gone")?;
    // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    field(11).zip(field(12)).map(|(user, system)| user + system).context("an odd /proc/…/stat")
}
