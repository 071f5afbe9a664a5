//! What the way from the guest to the hypervisor and back costs, in instructions: hypervisor calls, and pages that are made, copied, protected, taken away.
//!
//! | file | what |
//! | --- | --- |
//! | [`platforms`] | where it is measured: a row each |
//! | [`boots`] | a guest of our own (`tests/guests/measure`) run under an instruction counter, and what it said |
//! | [`peer`] | what the same costs under KVM-HV |
//! | [`gates`] | what the figures have to fulfil |
//! | [`plot`] | both drawn |
//!
//! QEMU counts an instruction as a nanosecond (`-icount shift=0,sleep=off`), and the guest reads its timebase, so what is counted is everything above the
//! emulator. It is path length, not time: a barrier and a cleared cache line are one instruction each. The hypervisor is the ELF file that `scripts/run` boots,
//! with one page a fault (`--one-page`).

mod boots;
mod gates;
mod peer;
mod platforms;
mod plot;

use crate::build::{self, Hypervisor};
use crate::exit::Code;
use crate::image::flat;
use crate::ui::Step;
use crate::{paths, proc, setup};
use anyhow::{Context, Result};
use boots::Told;
use clap::Args;
use gates::Gate;
use platforms::Platform;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything that `scripts/bench switch` can be told.
#[derive(Args, Clone, Debug)]
pub struct SwitchArgs {
    /// The machine (may be repeated) [default: all three]
    #[arg(long, value_name = "PLATFORM", value_parser = platforms::NAMES)]
    platform: Vec<String>,
    /// A hypervisor that was built before, as ELF [default: build it now]
    #[arg(long, value_name = "FILE")]
    hypervisor: Option<PathBuf>,
}

/// One figure of one platform.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Figure {
    id: &'static str,
    name: &'static str,
    ours: Option<f64>,
    kvm_hv: Option<f64>,
    /// How many times as much KVM-HV takes.
    ratio: Option<f64>,
}

/// All figures of one platform.
#[derive(Clone, Debug, Serialize)]
struct Measured {
    platform: &'static str,
    figures: Vec<Figure>,
}

/// All figures.
#[derive(Clone, Debug, Serialize)]
struct Report {
    measured: Vec<Measured>,
    gates: Vec<Gate>,
}

/// Measures, prints and draws.
pub fn switch(args: &SwitchArgs) -> Result<Code> {
    let hypervisor = args.hypervisor.as_deref().map_or_else(build::hypervisor, Hypervisor::read)?.kept_elf()?;
    let guest = build::measure()?;
    let step = Step::new("measure the world switch");
    let wanted = platforms::wanted(&args.platform);
    let told = wanted.iter().map(|platform| {
        let told = boots::all(platform, &hypervisor, &guest, &step);
        told.map(|told| measured(platform, &told)).with_context(|| platform.name.to_owned())
    });
    let measured = told.collect::<Result<Vec<_>>>()?;
    drop(step);
    let gates = measured.iter().flat_map(gates::check).collect();
    let report = Report { measured, gates };
    print(&report);
    write(&report, &guest)?;
    Ok(if report.gates.iter().any(Gate::is_broken) { Code::TestsFailed } else { Code::PoweredOff })
}

/// What was told, beside the peer's.
fn measured(platform: &Platform, told: &Told) -> Measured {
    let figure = |row: &peer::Row| {
        let (ours, kvm_hv) = (told.get(row.id).copied(), row.costs[platform.column]);
        let ratio = ours.zip(kvm_hv).filter(|(ours, _)| *ours >= 1.0).map(|(ours, theirs)| theirs / ours);
        Figure { id: row.id, name: row.name, ours, kvm_hv, ratio }
    };
    Measured { platform: platform.name, figures: peer::ROWS.iter().map(figure).collect() }
}

fn print(report: &Report) {
    for Measured { platform, figures } in &report.measured {
        println!("\nnet instructions per event on {platform}");
        println!("{:<44} {:>10} {:>10} {:>8}", "", "ours", "KVM-HV", "ratio");
        for Figure { name, ours, kvm_hv, ratio, .. } in figures {
            println!("{name:<44} {:>10} {:>10} {:>8}", number(*ours), number(*kvm_hv), number(*ratio));
        }
        if let Some(note) = platforms::note(platform) {
            println!("{note}");
        }
    }
    println!("\n{}\n", peer::SOURCE);
    report.gates.iter().for_each(|gate| println!("{}", gate.line()));
}

/// A figure, or that there is none.
fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.1}"))
}

fn write(report: &Report, guest: &Path) -> Result<()> {
    let directory = paths::made(paths::target().join("bench"))?;
    let [figures, drawing, image] = ["switch.json", "switch.svg", "measure.bin"].map(|name| directory.join(name));
    paths::write_whole(&figures, &serde_json::to_vec_pretty(report)?)?;
    paths::write_whole(&drawing, plot::draw(&report.measured).context("cannot draw the figures")?.as_bytes())?;
    paths::write_whole(&image, &flat::flatten(&fs::read(guest)?)?)?;
    println!("\nfigures in {}, drawn in {}", figures.display(), drawing.display());
    println!("the guest, to be run under KVM-HV: {}", under_kvm_hv(&image)?);
    Ok(())
}

/// What has to be typed on a Linux host with KVM-HV.
fn under_kvm_hv(image: &Path) -> Result<String> {
    let mut command = Command::new(setup::qemu()?.file_name().context("QEMU has no name")?);
    command.args([
        "-M",
        "pseries,accel=kvm,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off",
        "-cpu",
        "host",
        "-m",
        "1G",
        "-nodefaults",
        "-display",
        "none",
    ]);
    command.args(["-serial", "stdio", "-bios"]).arg(image);
    Ok(proc::shown(&command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_beside_the_peers_of_its_platform() {
        let told = Told::from([("null-hcall".to_owned(), 229.4), ("second-touch".to_owned(), 0.0)]);
        let platform = platforms::wanted(&["powernv10".into()])[0];
        let measured = measured(platform, &told);
        let figure = |id| measured.figures.iter().find(|figure| figure.id == id).unwrap();
        assert_eq!(figure("null-hcall").ratio, Some(10.0));
        assert_eq!((figure("second-touch").ratio, figure("unmap").ours), (None, None));
    }
}
