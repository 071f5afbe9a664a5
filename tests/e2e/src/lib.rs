//! End-to-end cases. Each starts the host tool as a user would, watches console and clock from outside, and judges by
//! exit codes and what is printed: nothing here knows how the hypervisor works inside.
//!
//! `scripts/test` runs them; they are a library and no test binary because they need QEMU, guests and the cross-built
//! hypervisor, which `cargo test` must not.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should panic"))]

mod bad_input;
mod budget;
mod console;
mod ends;
mod firmware;
mod guest_cell;
mod hash;
mod hostile;
mod matrix;
mod measure;
mod registers;
mod self_test;
mod session;
mod smp;
mod stats;
mod stress;
mod terminal;
mod twins;

pub use matrix::{Cell, Extent, Machine};

use anyhow::Result;
use std::path::PathBuf;

/// What the cases run with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The host tool.
    pub tool: PathBuf,
    /// The hypervisor that is under test.
    pub hypervisor: PathBuf,
    /// The Linux program that checks a guest from inside.
    pub probe: PathBuf,
    /// The bare-metal guest that does what guests must not do.
    pub hostile: PathBuf,
    /// The bare-metal guest that measures what the hypervisor costs.
    pub measure: PathBuf,
    /// The bare-metal guest that keeps a pattern in every register.
    pub registers: PathBuf,
}

/// What may run beside a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Any other case that does not mind.
    Any,
    /// Another one of these: it looks at the clock, and leaves a CPU to its neighbour.
    Alike,
    /// Nothing: how far it gets is what is asked.
    None,
}

type Run = dyn Fn(&Setting) -> Result<String> + Send + Sync;

/// One thing to be shown. It passes with a few words on what was measured.
pub struct Case {
    /// Unique, with the subject first: `guest/debian-6.1/power9/4k`.
    pub name: String,
    /// What may run beside it.
    pub company: Company,
    /// Whether it takes so long that it is run by its whole name only, or with everything.
    pub long: bool,
    run: Box<Run>,
}

impl Case {
    fn new(name: impl Into<String>, run: impl Fn(&Setting) -> Result<String> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), company: Company::Any, long: false, run: Box::new(run) }
    }

    fn beside(mut self, company: Company) -> Self {
        self.company = company;
        self
    }

    fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// What was seen instead of what was promised.
    pub fn run(&self, setting: &Setting) -> Result<String> {
        (self.run)(setting)
    }
}

/// All cases, with guests for every pair of dimensions or for the whole matrix.
#[must_use]
pub fn cases(extent: Extent) -> Vec<Case> {
    let guests = matrix::cells(extent).into_iter().map(guest_cell::case);
    let others = [
        bad_input::cases(),
        budget::cases(),
        ends::cases(),
        firmware::cases(),
        hash::cases(extent),
        hostile::cases(),
        measure::cases(),
        registers::cases(),
        self_test::cases(extent),
        smp::cases(extent),
        stress::cases(),
        terminal::cases(),
        twins::cases(),
    ];
    guests.chain(others.into_iter().flatten()).collect()
}
