//! The time from QEMU's start to the guest's first line from user space.
//!
//! The configurations take turns, so that a machine that gets slower or busier does so for all of them.

use super::result::{self, Figure, median};
use crate::exit::Code;
use crate::proc;
use crate::run::args::RunArgs;
use crate::run::{self, Prepared};
use crate::ui::Step;
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// What the guest's first process prints first.
const MARK: &str = "samewise: user space";
const LIMIT: Duration = Duration::from_secs(120);

const SMALL: &str = "granule 4k";
const LARGE: &str = "granule 2m";
const PLAIN: &str = "plain QEMU";

/// Everything that `scripts/bench boot` can be told.
#[derive(Args, Clone, Debug)]
pub struct BootArgs {
    /// The guest
    #[arg(long, value_name = "NAME", default_value = "debian-6.12")]
    kernel: String,
    /// The processor
    #[arg(long, value_name = "CPU", default_value = "power10")]
    cpu: String,
    /// How often each configuration is booted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Write the figures to a file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures and prints.
pub fn boot(args: &BootArgs) -> Result<Code> {
    let configurations = [(SMALL, &["--granule", "4k"][..]), (LARGE, &["--granule", "2m"]), (PLAIN, &["--plain"])];
    let prepared: Vec<_> =
        configurations.iter().map(|(name, words)| Ok((*name, prepare(args, words)?))).collect::<Result<_>>()?;
    let medians = measure(&prepared, args.runs)?;
    let [small, large, plain] = medians[..] else { anyhow::bail!("a configuration is missing") };
    let figures = [Figure::seconds(small, large), Figure::seconds(small, plain), Figure::seconds(large, plain)];
    println!("boot to user space, {} on {}, median of {}", args.kernel, args.cpu, args.runs);
    figures.iter().for_each(|figure| println!("{}", figure.line()));
    args.json.iter().try_for_each(|path| result::write(path, &figures))?;
    Ok(Code::PoweredOff)
}

fn prepare(args: &BootArgs, words: &[&str]) -> Result<Prepared> {
    let common = ["--kernel", &args.kernel, "--cpu", &args.cpu, "--batch", "true"];
    run::prepare(&RunArgs::from_words(&[&common[..], words].concat())?)
}

/// The median of each configuration, in their order.
fn measure<'a>(prepared: &[(&'a str, Prepared)], runs: u32) -> Result<Vec<(&'a str, f64)>> {
    let step = Step::new("boot");
    let mut times = vec![Vec::new(); prepared.len()];
    for run in 1..=runs {
        for ((name, prepared), times) in prepared.iter().zip(&mut times) {
            step.note(&format!("{name}, {run} of {runs}"));
            times.push(time_boot(prepared).with_context(|| format!("{name}, run {run}"))?.as_secs_f64());
        }
    }
    Ok(prepared.iter().zip(&times).map(|((name, _), times)| (*name, median(times))).collect())
}

/// One boot, which must also power off as it should.
fn time_boot(prepared: &Prepared) -> Result<Duration> {
    let mut command = prepared.machine.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let start = Instant::now();
    let mut qemu = proc::spawn_bound(&mut command)?;
    let lines = BufReader::new(qemu.stdout.take().context("QEMU has no output")?).lines();
    let reader = thread::spawn(move || {
        let marks = lines.map_while(Result::ok).filter(|line| line.contains(MARK));
        // All lines are read, lest QEMU wait for a reader.
        marks.map(|_| start.elapsed()).fold(None, |first, mark| first.or(Some(mark)))
    });
    let status = proc::wait_until(&mut qemu, start + LIMIT)?;
    let mark = reader.join().ok().flatten().context("the guest did not reach user space")?;
    ensure!(status.is_some_and(|status| status.success()), "the guest did not power off");
    Ok(mark)
}
