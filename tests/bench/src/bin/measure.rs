//! Figures for the host tool, as JSON: `measure faults` says how many faults of each kind `benches/instructions.rs` counts, `measure threads PAGES ROUNDS` takes
//! samples of faults per second.

use hv_core::mmu::pins::Pins;
use mmu_bench::faults::{Kind, PAGES};
use mmu_bench::threads::{Pattern, measure};
use serde::Serialize;
use std::process::ExitCode;

const THREADS: [u64; 3] = [1, 2, 4];

/// What the instructions of one kind of faults are to be divided by.
#[derive(Serialize)]
struct Count {
    id: &'static str,
    name: &'static str,
    faults: usize,
    pages: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let printed = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["faults"] => print(&Kind::ALL.map(count)),
        ["threads", pages, rounds] => match (pages.parse(), rounds.parse()) {
            (Ok(pages), Ok(rounds)) => {
                let all = Pattern::ALL.into_iter().flat_map(|pattern| measure(pattern, &THREADS, pages, rounds));
                print(&all.collect::<Vec<_>>())
            }
            _ => return usage(),
        },
        _ => return usage(),
    };
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn count(kind: Kind) -> Count {
    Count { id: kind.id(), name: kind.name(), faults: kind.faults::<Pins>(0, PAGES).len(), pages: PAGES }
}

fn print(figures: &impl Serialize) -> serde_json::Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}

fn usage() -> ExitCode {
    eprintln!("usage: measure faults | measure threads PAGES ROUNDS");
    ExitCode::from(2)
}
