//! Whether two vCPUs on two CPUs do twice as much as one: hypervisor calls that do nothing, and pages that are touched for the first time.
//!
//! | file | what |
//! | --- | --- |
//! | [`told`] | a guest of our own (`tests/guests/measure`, `measure=smp`) on powernv10, and what it said |
//! | [`gates`] | what the figures have to fulfil |
//! | [`plot`] | the scalings drawn |
//!
//! QEMU runs each CPU on a thread of its own, and how far two of them scale is the emulator's affair and the host's: a null call takes nothing from
//! anybody, so it shows how far anything can. First touches are judged beside it, in the same boot, and each boot gives one ratio; the median of
//! all boots counts. What locks do to it is seen by their counter, which is exact.

mod gates;
mod plot;
mod told;

use super::result::median;
use crate::build::{self, Hypervisor};
use crate::exit::Code;
use crate::paths;
use crate::ui::Step;
use anyhow::{Context, Result};
use clap::Args;
use gates::Gate;
use serde::Serialize;
use std::path::PathBuf;
use told::Boot;

/// Everything that `scripts/bench smp` can be told.
#[derive(Args, Clone, Debug)]
pub struct SmpArgs {
    /// How often the guest is booted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// A hypervisor that was built before, as ELF [default: build it now]
    #[arg(long, value_name = "FILE")]
    hypervisor: Option<PathBuf>,
}

/// What two vCPUs do in a while over what one does, for first touches under KVM-HV on the same machine of QEMU's; the lowest and the highest
/// that were seen.
const KVM_HV: [f64; 2] = [1.72, 1.83];

/// The medians of all boots.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Figures {
    /// What two do over what one does.
    null: f64,
    touch: f64,
    /// Of each boot, touches' scaling over null calls'.
    ratio: f64,
    /// Events per second with one vCPU.
    null_rate: f64,
    touch_rate: f64,
    /// Locks that faults took, all boots together; none if the hypervisor does not count them.
    locks: Option<u64>,
}

impl Figures {
    fn of(boots: &[Boot]) -> Self {
        let middle = |figure: fn(&Boot) -> f64| median(&boots.iter().map(figure).collect::<Vec<_>>());
        Self {
            null: middle(|boot| boot.null.scaling()),
            touch: middle(|boot| boot.touch.scaling()),
            ratio: middle(|boot| boot.touch.scaling() / boot.null.scaling()),
            null_rate: middle(|boot| boot.null.one.per_second()),
            touch_rate: middle(|boot| boot.touch.one.per_second()),
            locks: boots.iter().map(|boot| boot.locks).sum(),
        }
    }
}

#[derive(Serialize)]
struct Report {
    figures: Figures,
    gates: Vec<Gate>,
}

/// Measures, prints and draws.
pub fn smp(args: &SmpArgs) -> Result<Code> {
    let hypervisor = args.hypervisor.as_deref().map_or_else(build::hypervisor, Hypervisor::read)?.kept_elf()?;
    let guest = build::measure()?;
    let step = Step::new("measure two vCPUs on two CPUs");
    let boots = (1..=args.runs).map(|run| {
        step.note(&format!("{run} of {}", args.runs));
        told::boot(&hypervisor, &guest).with_context(|| format!("boot {run}"))
    });
    let figures = Figures::of(&boots.collect::<Result<Vec<_>>>()?);
    drop(step);
    let report = Report { gates: gates::check(&figures), figures };
    print(&report, args.runs);
    write(&report)?;
    Ok(if report.gates.iter().any(Gate::is_broken) { Code::TestsFailed } else { Code::PoweredOff })
}

fn print(Report { figures, gates }: &Report, runs: u32) {
    println!("\ntwo vCPUs on two CPUs of powernv10 over one, median of {runs}");
    for (name, scaling, rate) in
        [("null hcall", figures.null, figures.null_rate), ("first touch, 4K", figures.touch, figures.touch_rate)]
    {
        println!("{name:<24} {scaling:>6.3}   ({:.3} million a second with one)", rate / 1e6);
    }
    println!("{:<24} {:>6.3}", "touches over calls", figures.ratio);
    let locks = figures.locks.map_or_else(|| "not counted".into(), |locks| locks.to_string());
    println!("{:<24} {locks:>6}", "locks taken by faults");
    println!("\nKVM-HV's first touches on the same machine: {} to {}\n", KVM_HV[0], KVM_HV[1]);
    gates.iter().for_each(|gate| println!("{}", gate.line()));
}

fn write(report: &Report) -> Result<()> {
    let directory = paths::made(paths::target().join("bench"))?;
    let [figures, drawing] = ["smp.json", "smp.svg"].map(|name| directory.join(name));
    paths::write_whole(&figures, &serde_json::to_vec_pretty(report)?)?;
    paths::write_whole(&drawing, plot::draw(&report.figures).context("cannot draw the figures")?.as_bytes())?;
    println!("\nfigures in {}, drawn in {}", figures.display(), drawing.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::told::{Events, Pair};
    use super::*;

    fn boot(touch: u64, locks: Option<u64>) -> Boot {
        let pair = |two| Pair { one: Events { count: 100, ticks: 512 }, two: Events { count: two, ticks: 512 } };
        Boot { null: pair(200), touch: pair(touch), locks }
    }

    #[test]
    fn a_slow_boot_does_not_move_the_figures_and_a_lock_of_any_boot_counts() {
        let figures = Figures::of(&[boot(196, Some(0)), boot(90, Some(2)), boot(196, Some(0))]);
        assert!((figures.touch - 1.96).abs() < 1e-9 && (figures.ratio - 0.98).abs() < 1e-9, "{figures:?}");
        assert_eq!(figures.locks, Some(2));
        assert!((figures.null_rate - 1e8).abs() < 1.0, "{figures:?}");
    }

    #[test]
    fn locks_that_one_boot_did_not_count_are_not_counted() {
        assert_eq!(Figures::of(&[boot(196, Some(0)), boot(196, None)]).locks, None);
    }
}
