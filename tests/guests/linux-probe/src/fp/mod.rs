//! Are floating-point and vector registers kept across exits?
//!
//! A round has three parts, on memory that is mapped freshly for it, so that storage interrupts of the guest kernel and
//! of the hypervisor fall into it: all 64 vector-scalar registers hold distinct values while the pages are touched and
//! the CPU is yielded ([`registers`]); scalar arithmetic of known result ([`scalar`]); vector integer arithmetic compared
//! with the same sums done in general registers ([`vector`]).

mod registers;
mod scalar;
mod vector;

use crate::{Outcome, out::say, sys};

/// Enough for the interval between two decrementer interrupts to fall everywhere, however short the time allowed.
const MIN_ROUNDS: u64 = 2000;
/// One small page, the least that any guest kernel maps.
const STRIDE: usize = 4 << 10;
/// Fresh pages touched in each part of a round.
const PAGES: usize = 48;

/// Why a round failed.
pub enum Failure {
    /// No memory for the round.
    Map(sys::Errno),
    /// Vector-scalar register `number` changed.
    Vsr { number: usize, found: u128, expected: u128 },
    /// FPSCR changed.
    Fpscr { found: u64, expected: u64 },
    /// VSCR changed.
    Vscr { found: u64, expected: u64 },
    /// A calculation, named, gave another result.
    Wrong { what: &'static str, found: u64, expected: u64 },
}

impl Failure {
    fn report(&self, round: u64) {
        match *self {
            Self::Map(errno) => say!("fp FAIL round {round}: mmap errno {}", errno.0),
            Self::Vsr { number, found, expected } => {
                say!("fp FAIL round {round}: vs{number} {found:#034x}, expected {expected:#034x}");
            }
            Self::Fpscr { found, expected } => {
                say!("fp FAIL round {round}: FPSCR {found:#x}, expected {expected:#x}");
            }
            Self::Vscr { found, expected } => {
                say!("fp FAIL round {round}: VSCR {found:#x}, expected {expected:#x}");
            }
            Self::Wrong { what, found, expected } => {
                say!("fp FAIL round {round}: {what} {found:#x}, expected {expected:#x}");
            }
        }
    }
}

/// Fresh memory for one part of a round; given back when dropped.
pub struct Fresh {
    start: *mut u64,
}

impl Fresh {
    const BYTES: usize = PAGES * STRIDE;

    fn new() -> Result<Self, Failure> {
        sys::memory::map(Self::BYTES).map(|start| Self { start }).map_err(Failure::Map)
    }

    /// First byte of page `n`, for plain loads and stores.
    fn page(&self, n: usize) -> *mut u64 {
        self.start.wrapping_byte_add(n % PAGES * STRIDE)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // SAFETY: 1. The range is that of `new`. 2. Only raw pointers leave this type, within its lifetime.
        let _ = unsafe { sys::memory::unmap(self.start, Self::BYTES) };
    }
}

/// Repeats rounds for so many seconds.
pub fn run(seconds: u64) -> Outcome {
    let until = sys::monotonic() + seconds * 1_000_000_000;
    let mut round = 0;
    while round < MIN_ROUNDS || sys::monotonic() < until {
        if let Err(failure) = one(round) {
            failure.report(round);
            return Outcome::Bad;
        }
        round += 1;
    }
    say!("fp ok {round}");
    Outcome::Good
}

/// One round. The seed makes every round's values different from those of the round before.
fn one(round: u64) -> Result<(), Failure> {
    registers::check(round, &Fresh::new()?)?;
    scalar::check(round, &Fresh::new()?)?;
    vector::check(round, &Fresh::new()?)?;
    sys::sched_yield();
    Ok(())
}
