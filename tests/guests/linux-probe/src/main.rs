//! A probe that runs inside a guest Linux and reports what the guest got.
//!
//! The hypervisor below is judged from here, because only user space sees the sum of its work: that every page holds
//! what was written to it (`pattern`), also when there are more of them than it has memory for (`overcommit`), that floating-point and vector registers survive the exits that happen between
//! two instructions (`fp`), and that a second inside lasts a second outside (`tick`); that processes which move between processors, share and
//! copy memory find what they wrote (`stress`), and that a processor which was switched off and on again gets its interrupts (`hotplug`).
//!
//! There is no libc: the program is put alone into an initramfs, and its register checks must not share the vector
//! registers with a library that uses them. Each command prints whole lines with one `write` each, so that a reader on
//! the other side of the console can time them.
#![no_std]
#![no_main]

mod args;
mod compressible;
mod cpus;
mod fp;
mod hotplug;
mod meminfo;
mod out;
mod overcommit;
mod pattern;
mod region;
mod start;
mod stress;
mod sys;
mod tick;

use args::Args;
use out::say;

/// How the process ends: the exit code that a script tests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What was promised was seen.
    Good = 0,
    /// A check failed, or could not be made; the line printed says which.
    Bad = 1,
    /// The command line was not understood.
    Usage = 2,
}

/// Runs the command that the arguments name.
fn run(args: &Args) -> Outcome {
    match (args.get(1), args.get(2)) {
        (Some(b"pattern"), Some(size)) => pattern::run(size),
        (Some(b"overcommit"), Some(size)) => {
            args.get(3).and_then(args::number).map_or_else(usage, |passes| overcommit::run(size, passes))
        }
        (Some(b"fp"), Some(seconds)) => args::number(seconds).map_or_else(usage, fp::run),
        (Some(b"tick"), Some(seconds)) => args::number(seconds).map_or_else(usage, tick::run),
        (Some(b"stress"), Some(_)) => stress::asked(args).map_or_else(usage, |asked| stress::run(&asked)),
        (Some(b"hotplug"), Some(times)) => args::number(times).map_or_else(usage, hotplug::run),
        _ => usage(),
    }
}

/// Says what can be asked for.
fn usage() -> Outcome {
    say!("usage: linux-probe pattern BYTES|SIZE[KMG]|PERCENT%");
    say!("       linux-probe overcommit BYTES|SIZE[KMG]|PERCENT% PASSES");
    say!("       linux-probe fp SECONDS");
    say!("       linux-probe tick SECONDS");
    say!("       linux-probe stress SECONDS WORKERS [SIZE[KMG]]");
    say!("       linux-probe hotplug TIMES");
    Outcome::Usage
}

/// A panic is a bug of the probe itself; it must not look like a good result.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    say!("linux-probe FAIL: {info}");
    sys::exit(Outcome::Bad as usize)
}
