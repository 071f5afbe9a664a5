//! The host tool of Samewise: sets up, builds, runs, tests and measures.
//!
//! `scripts/run`, `test`, `bench`, `build` and `setup` are thin shells around the commands here.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should panic"))]

mod bench;
mod build;
mod exit;
mod image;
mod machine;
mod paths;
mod proc;
mod run;
mod setup;
mod test;
mod ui;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "samewise", about = "Host tool of the Samewise hypervisor", after_help = exit::TABLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or install QEMU, rust-src, cross binutils and the guests
    Setup,
    /// Build the hypervisor
    Build(build::BuildArgs),
    /// Boot a guest
    Run(Box<run::args::RunArgs>),
    /// Run the tests
    Test(test::TestArgs),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => ExitCode::from(code as u8),
        Err(error) => {
            eprintln!("samewise: {error:#}");
            ExitCode::from(exit::code_of(&error) as u8)
        }
    }
}

fn dispatch(command: Command) -> Result<exit::Code> {
    match command {
        Command::Setup => setup::all().map(|()| exit::Code::PoweredOff),
        Command::Build(args) => build::report(&args),
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::test(&args),
        Command::Bench(bench) => bench::bench(&bench),
    }
}
