//! Guest memory: what faults and mutations cost, with one thread and with several.
//!
//! | file | what |
//! | --- | --- |
//! | [`instructions`] | per fault and of mutations, counted by callgrind: exact |
//! | [`threads`] | faults per second, timed |
//! | [`tests`] | cache lines that CPUs write in turns, and pages on which several threads fault at once |
//! | [`gates`] | what the figures have to fulfil |
//! | [`plot`] | all of it drawn |
//!
//! The measurements themselves stand in `tests/bench`. Tables go to the terminal, figures and a drawing to `target/bench`.

mod gates;
mod instructions;
mod plot;
mod tests;
mod threads;

use crate::exit::Code;
use crate::paths;
use crate::ui::Step;
use anyhow::{Context, Result};
use clap::Args;
use gates::Gate;
use instructions::{Faults, Growth};
use serde::Serialize;
use std::path::Path;
use std::process::Command;
use tests::Told;
use threads::{Rates, Scaling};

/// Everything that `scripts/bench mmu` can be told.
#[derive(Args, Clone, Debug)]
pub struct MmuArgs {
    /// Fewer and shorter samples with several threads; what is counted stays as exact as it is
    #[arg(long)]
    quick: bool,
}

/// All figures.
#[derive(Debug, Serialize)]
struct Report {
    faults: Vec<Faults>,
    growth: Vec<Growth>,
    rates: Vec<Rates>,
    scaling: Scaling,
    told: Vec<Told>,
    gates: Vec<Gate>,
}

/// Measures, prints and draws.
pub fn mmu(args: &MmuArgs) -> Result<Code> {
    let step = Step::new("measure guest memory");
    let (faults, growth) = instructions::count(&step)?;
    let samples = threads::sample(&step, args.quick)?;
    let told = tests::run(&step)?;
    drop(step);
    let (rates, scaling) = (threads::rates(&samples), threads::scaling(&samples));
    let gates = gates::check(&faults, &growth, &scaling, &told);
    let report = Report { faults, growth, rates, scaling, told, gates };
    print(&report);
    let directory = paths::made(paths::target().join("bench"))?;
    write(&report, &directory)?;
    Ok(if report.gates.iter().any(Gate::is_broken) { Code::TestsFailed } else { Code::PoweredOff })
}

fn print(report: &Report) {
    println!("\ninstructions per fault, one thread");
    instructions::fault_table(&report.faults).iter().for_each(|line| println!("{line}"));
    println!("\ninstructions of mutations in guests of 1, 4 and 16 GiB");
    instructions::growth_table(&report.growth).iter().for_each(|line| println!("{line}"));
    println!("\nmillion faults a second, pages of zeros (median)");
    threads::table(&report.rates).iter().for_each(|line| println!("{line}"));
    println!("\ncache lines that two CPUs write in turns, and pages that all threads fault on");
    report.told.iter().flat_map(|told| &told.lines).for_each(|line| println!("{line}"));
    println!();
    report.gates.iter().for_each(|gate| println!("{}", gate.line()));
}

fn write(report: &Report, directory: &Path) -> Result<()> {
    let (figures, drawing) = (directory.join("mmu.json"), directory.join("mmu.svg"));
    paths::write_whole(&figures, &serde_json::to_vec_pretty(report)?)?;
    let svg = plot::draw(report).context("cannot draw the figures")?;
    paths::write_whole(&drawing, svg.as_bytes())?;
    println!("\nfigures in {}, drawn in {}", figures.display(), drawing.display());
    Ok(())
}

/// Cargo on the benchmark crate.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(paths::root());
    command
}
