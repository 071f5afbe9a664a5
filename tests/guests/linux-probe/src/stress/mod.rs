//! Processes that do to memory whatever a program can, move between processors meanwhile, and look at everything that they wrote.
//!
//! ```text
//!   parent ─ fork ─► worker 0 … worker N-1, each for so many seconds:
//!                      round: go to another processor
//!                             kept     a part of what it wrote long ago: verified, written anew        (leaves the hypervisor's memory between)
//!                             common   its own words on pages that all workers write to at once        (two processors, one page)
//!                             fresh    memory of this round: written, copied by fork and written on both sides, read-only, forgotten, unmapped
//! ```
//!
//! What a page holds follows from its address, the round in which it was written, and the worker ([`page`]).

mod common;
mod fresh;
mod kept;
mod page;
mod worker;

use crate::args::{self, Amount, Args};
use crate::sys::{self, process};
use crate::{Outcome, out::say};
use common::Common;

/// The size of the part of a page that belongs to a worker limits their number.
const MOST_WORKERS: usize = 31;
/// What each worker keeps, unless told.
const KEPT: u64 = 4 << 20;

/// What is asked for.
pub struct Asked {
    seconds: u64,
    workers: usize,
    /// Bytes that each worker keeps from round to round.
    kept: u64,
}

/// Reads the command line; nothing if it makes no sense.
pub fn asked(args: &Args) -> Option<Asked> {
    let seconds = args.get(2).and_then(args::number)?;
    let workers = args.get(3).and_then(args::number).and_then(|count| usize::try_from(count).ok())?;
    let kept = match args.get(4).map(args::amount) {
        None => KEPT,
        Some(Some(Amount::Bytes(bytes))) if bytes >= page::UNIT as u64 => bytes,
        Some(_) => return None,
    };
    (1..=MOST_WORKERS).contains(&workers).then_some(Asked { seconds, workers, kept })
}

/// Why there is no good result.
#[derive(Clone, Copy)]
pub enum Failure {
    /// The kernel refused a call.
    Call(&'static str, sys::Errno),
    /// A doubleword is not what was written.
    Differs { part: &'static str, address: usize, found: u64, expected: u64 },
    /// Memory that must not be written could be, or the other way round.
    Rights { part: &'static str, address: usize },
    /// A copy of the process found something wrong, and has said what.
    Copy,
}

impl Failure {
    /// Says it.
    fn report(self, worker: usize) {
        match self {
            Self::Call(name, errno) => say!("stress FAIL worker {worker}: {name} errno {}", errno.0),
            Self::Differs { part, address, found, expected } => {
                say!("stress FAIL worker {worker}, {part} at {address:#x}: {found:#018x}, expected {expected:#018x}");
            }
            Self::Rights { part, address } => say!("stress FAIL worker {worker}, {part} at {address:#x}: wrong rights"),
            Self::Copy => say!("stress FAIL worker {worker}: so says its copy"),
        }
    }
}

/// Names the call that failed.
pub fn call<T>(name: &'static str, result: Result<T, sys::Errno>) -> Result<T, Failure> {
    result.map_err(|errno| Failure::Call(name, errno))
}

/// Runs the workers and adds up.
pub fn run(asked: &Asked) -> Outcome {
    let end = sys::monotonic() + asked.seconds * 1_000_000_000;
    match start(asked, end) {
        Ok((common, 0)) => {
            let (pages, migrations) = common.sums();
            say!("stress ok: {pages} pages verified, {migrations} migrations");
            Outcome::Good
        }
        Ok((_, failed)) => {
            say!("stress FAIL: {failed} of {} workers", asked.workers);
            Outcome::Bad
        }
        Err(why) => {
            why.report(asked.workers);
            Outcome::Bad
        }
    }
}

/// Starts the workers, waits for all, and counts those that failed.
fn start(asked: &Asked, end: u64) -> Result<(Common, usize), Failure> {
    let common = call("mmap", Common::map())?;
    let mut processes = [0; MOST_WORKERS];
    let mut failed = 0;
    for (number, process) in processes[..asked.workers].iter_mut().enumerate() {
        // SAFETY: 1. The copy runs a worker and exits. 2. What is common is made for it.
        *process = call("fork", unsafe { process::fork() })?;
        if *process == 0 {
            sys::exit(worker::run(number, asked.kept, end, &common) as usize);
        }
    }
    for process in &processes[..asked.workers] {
        failed += usize::from(!call("wait4", process::wait(*process))?);
    }
    Ok((common, failed))
}
