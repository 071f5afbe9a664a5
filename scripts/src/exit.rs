//! The exit codes, each with one meaning, and the error that carries one to `main`.
//!
//! Scripts around the tool tell outcomes apart by these numbers, so they are part of its interface: `--help` and the
//! README print [`TABLE`], and no code is ever given a second meaning.

use thiserror::Error;

/// How a run of the tool may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    PoweredOff = 0,
    TestsFailed = 1,
    BadInput = 2,
    NotSetUp = 3,
    GuestPanic = 10,
    HypervisorPanic = 11,
    GuestStopped = 12,
    Refused = 13,
    TimeOut = 124,
}

/// What `--help` says about exit codes.
pub const TABLE: &str = "\
Exit codes:
  0    the guest powered off, or you left it with Ctrl-A X; or tests passed
  1    tests failed, or a benchmark could not be measured
  2    bad usage or bad input
  3    something could not be set up or built
  10   the guest panicked
  11   the hypervisor panicked, or ended without saying how
  12   the hypervisor stopped the guest
  13   the hypervisor refused what it was given
  124  the time limit was reached";

/// An error that knows its exit code. Errors without one end as [`Code::NotSetUp`].
#[derive(Debug, Error)]
#[error("{message}")]
pub struct Stop {
    pub code: Code,
    pub message: String,
}

/// The error for input that the user can correct.
pub fn bad_input(message: impl Into<String>) -> anyhow::Error {
    Stop { code: Code::BadInput, message: message.into() }.into()
}

/// The exit code that an error asks for.
pub fn code_of(error: &anyhow::Error) -> Code {
    error.downcast_ref::<Stop>().map_or(Code::NotSetUp, |stop| stop.code)
}
