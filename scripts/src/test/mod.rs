//! `scripts/test`: everything that must hold, step by step, with one plain line at the end.
//!
//! Checks of the source come first since they are quick to fail, then the binary, then guests in QEMU: two at a time, those
//! that look at the clock among themselves, and at the end, alone, those of which is asked how far they get.

mod binary;
mod dependencies;
mod disassembly;
mod mutants;
mod progress;
mod source;

use crate::exit::Code;
use crate::ui::Step;
use crate::{build, setup};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use e2e::{Case, Company, Extent, Setting};
use progress::Done;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// How many QEMUs run at once.
const WORKERS: usize = 2;

/// Everything that `scripts/test` can be told.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TestArgs {
    #[command(subcommand)]
    part: Option<Part>,
    /// Run only the checks whose name contains this
    filter: Option<String>,
    /// Run the whole matrix of guests; started again, it goes on where it was
    #[arg(long)]
    full: bool,
    /// Print the names of the checks and stop
    #[arg(long)]
    list: bool,
}

/// What is run by name only.
#[derive(Clone, Debug, Subcommand)]
enum Part {
    /// Take each check of the memory core out, one at a time, and show that a test fails (half an hour)
    Mutants(mutants::MutantsArgs),
}

/// A named check of this tool's own.
struct Check {
    name: String,
    run: Box<dyn Fn() -> Result<String>>,
}

impl Check {
    fn new(name: impl Into<String>, run: impl Fn() -> Result<String> + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// Runs the tests and prints how many passed.
pub fn test(args: &TestArgs) -> Result<Code> {
    if let Some(Part::Mutants(mutants)) = &args.part {
        return mutants::mutants(mutants);
    }
    let wanted = |name: &str| args.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let mut checks = source::checks();
    checks.extend(dependencies::checks());
    checks.extend(binary::checks());
    checks.retain(|check| wanted(&check.name));
    let extent = if args.full { Extent::Full } else { Extent::Pairs };
    let mut cases = e2e::cases(extent);
    cases.retain(|case| wanted(&case.name) && (!case.long || args.full || args.filter.as_ref() == Some(&case.name)));
    if args.list {
        let names = checks.iter().map(|check| &check.name).chain(cases.iter().map(|case| &case.name));
        names.for_each(|name| println!("{name}"));
        return Ok(Code::PoweredOff);
    }
    run_all(&checks, &cases, Done::load(args.full)?)
}

fn run_all(checks: &[Check], cases: &[Case], done: Done) -> Result<Code> {
    let score = Score::new(checks.len() + cases.len() + 1, done);
    score.judge("setup", || set_up(!cases.is_empty()));
    checks.iter().for_each(|check| score.judge(&check.name, || (check.run)()));
    if !cases.is_empty() {
        run_cases(cases, &score);
    }
    let (passed, failed) = score.end();
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { Code::PoweredOff } else { Code::TestsFailed })
}

/// What all checks need. What fails here is said again by the checks that miss it.
fn set_up(guests: bool) -> Result<String> {
    setup::rust_src()?;
    setup::objdump()?;
    if guests {
        setup::qemu()?;
        setup::guests::busybox()?;
        setup::programs::ALL.iter().try_for_each(|program| program.archive().map(drop))?;
        setup::guests::ALL.iter().try_for_each(|guest| guest.kernel().map(drop))?;
    }
    Ok("everything is there".into())
}

fn run_cases(cases: &[Case], score: &Score) {
    let setting = match setting() {
        Ok(setting) => setting,
        Err(error) => {
            return cases.iter().for_each(|case| score.judge(&case.name, || Err(anyhow::anyhow!("{error:#}"))));
        }
    };
    for (company, workers) in [(Company::Any, WORKERS), (Company::Alike, WORKERS), (Company::None, 1)] {
        let these: Vec<_> = cases.iter().filter(|case| case.company == company).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(case) = these.get(next.fetch_add(1, Ordering::Relaxed)) {
                score.judge(&case.name, || case.run(&setting));
            }
        };
        thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    }
}

fn setting() -> Result<Setting> {
    // A copy: whoever edits and builds meanwhile does not change what is under test.
    let hypervisor = build::hypervisor()?.kept_elf()?;
    let tool = std::env::current_exe().context("cannot find this program")?;
    Ok(Setting {
        tool,
        hypervisor,
        probe: build::linux_probe()?,
        hostile: build::hostile()?,
        measure: build::measure()?,
        registers: build::registers()?,
    })
}

/// What passed and what failed so far, shared by the workers.
struct Score {
    step: Step,
    total: usize,
    counts: Mutex<(u64, u64)>,
    done: Mutex<Done>,
}

impl Score {
    fn new(total: usize, done: Done) -> Self {
        Self { step: Step::new("tests"), total, counts: Mutex::default(), done: Mutex::new(done) }
    }

    /// Runs one check and says how it went.
    fn judge(&self, name: &str, run: impl FnOnce() -> Result<String>) {
        let start = Instant::now();
        let known = lock(&self.done).contains(name);
        self.step.note(name);
        let result = if known { Ok("passed before".into()) } else { run() };
        let seconds = start.elapsed().as_secs_f64();
        match &result {
            Ok(words) => self.step.line(&format!("ok    {name} ({seconds:.1} s): {words}")),
            Err(error) => self.step.line(&format!("FAIL  {name} ({seconds:.1} s): {error:#}")),
        }
        self.count(name, result.is_ok());
    }

    fn count(&self, name: &str, passed: bool) {
        let mut counts = lock(&self.counts);
        *(if passed { &mut counts.0 } else { &mut counts.1 }) += 1;
        self.step.percent((counts.0 + counts.1) * 100 / self.total.max(1) as u64);
        if passed {
            lock(&self.done).add(name);
        }
    }

    fn end(self) -> (u64, u64) {
        drop(self.step);
        self.counts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A panic of another worker is reported by its own thread; counting goes on.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
