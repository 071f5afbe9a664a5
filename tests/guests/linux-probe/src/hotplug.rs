//! Switches each processor but the first off and on again, as often as asked, and shows each time that it is back: a process runs on it, sleeps
//! there, and its interrupts are counted.
//!
//! Whoever wants it under load starts [`stress`](crate::stress) beside it.

use crate::args;
use crate::cpus::{self, Cpus};
use crate::sys::{self, Errno, process};
use crate::{Outcome, out::say};
use core::ffi::CStr;
use core::fmt::Write;

/// Why a processor did not come back as it should.
enum Failure {
    Call(&'static str, Errno),
    /// It was not where it was bound to.
    Elsewhere,
    /// What was counted for it did not grow.
    Silent {
        before: Counts,
        after: Counts,
    },
}

/// Interrupts that a processor took, from /proc/interrupts.
#[derive(Clone, Copy, Default)]
struct Counts {
    timer: u64,
    /// From other processors: through the interrupt controller or as doorbells.
    ipi: u64,
}

/// How often a processor that was woken from afar may have been awake already.
const TRIES: u32 = 50;
/// For how long the woken one sleeps first.
const NAP: u16 = 20;

/// Off and on, so many times each.
pub fn run(times: u64) -> Outcome {
    let Ok(cpus) = Cpus::all() else { return Outcome::Bad };
    for cpu in cpus.numbers().skip(1) {
        for turn in 1..=times {
            if let Err(why) = cycle(cpu) {
                why.report(cpu, turn);
                return Outcome::Bad;
            }
        }
        let _ = cpus.release();
        say!("hotplug: processor {cpu} went off and on {times} times");
    }
    say!("hotplug ok: {} processors", cpus.count().saturating_sub(1));
    Outcome::Good
}

impl Failure {
    fn report(&self, cpu: u32, turn: u64) {
        match self {
            Self::Call(name, errno) => say!("hotplug FAIL processor {cpu}, time {turn}: {name} errno {}", errno.0),
            Self::Elsewhere => say!("hotplug FAIL processor {cpu}, time {turn}: a process bound to it runs elsewhere"),
            Self::Silent { before, after } => say!(
                "hotplug FAIL processor {cpu}, time {turn}: timer {} to {}, from others {} to {}",
                before.timer,
                after.timer,
                before.ipi,
                after.ipi
            ),
        }
    }
}

fn cycle(cpu: u32) -> Result<(), Failure> {
    // This process must not be in its way.
    cpus::pin(0).map_err(|errno| Failure::Call("sched_setaffinity", errno))?;
    switch(cpu, b"0").map_err(|errno| Failure::Call("off", errno))?;
    switch(cpu, b"1").map_err(|errno| Failure::Call("on", errno))?;
    is_back(cpu)
}

/// Comes to the processor from another one and sleeps there, until both kinds of interrupt were counted.
fn is_back(cpu: u32) -> Result<(), Failure> {
    let before = counts(cpu).map_err(|errno| Failure::Call("/proc/interrupts", errno))?;
    let mut after = before;
    for _ in 0..TRIES {
        visit(cpu)?;
        after = counts(cpu).map_err(|errno| Failure::Call("/proc/interrupts", errno))?;
        if after.timer > before.timer && after.ipi > before.ipi {
            return Ok(());
        }
    }
    Err(Failure::Silent { before, after })
}

fn visit(cpu: u32) -> Result<(), Failure> {
    let pin = |cpu| cpus::pin(cpu).map_err(|errno| Failure::Call("sched_setaffinity", errno));
    let nap = || sys::sleep_millis(NAP).map_err(|errno| Failure::Call("clock_nanosleep", errno));
    pin(0)?;
    nap()?;
    if !pin(cpu)? {
        return Err(Failure::Elsewhere);
    }
    nap()?;
    match process::current() == Ok(cpu) {
        true => Ok(()),
        false => Err(Failure::Elsewhere),
    }
}

/// Writes to the processor's switch.
fn switch(cpu: u32, to: &[u8]) -> Result<(), Errno> {
    let mut path = Path { bytes: [0; 64], length: 0 };
    let _ = write!(path, "/sys/devices/system/cpu/cpu{cpu}/online\0");
    let path = CStr::from_bytes_until_nul(&path.bytes).unwrap_or_default();
    sys::write_file(path, to)
}

/// A path in the making.
struct Path {
    bytes: [u8; 64],
    length: usize,
}

impl Write for Path {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// What was counted for a processor so far.
fn counts(cpu: u32) -> Result<Counts, Errno> {
    let mut buffer = [0; 16 << 10];
    Ok(counted(sys::read_file(c"/proc/interrupts", &mut buffer)?, cpu))
}

/// The sum of its column: the first line names the processors, each further one has a name, their counts, and words.
fn counted(text: &[u8], cpu: u32) -> Counts {
    let mut lines = text.split(|&byte| byte == b'\n');
    let column = words(lines.next().unwrap_or_default())
        .position(|name| name.strip_prefix(b"CPU").and_then(args::number) == Some(u64::from(cpu)));
    let Some(column) = column else { return Counts::default() };
    let mut counts = Counts::default();
    for line in lines {
        let mut fields = words(line);
        let name = fields.next().unwrap_or_default();
        let count = fields.nth(column).and_then(args::number).unwrap_or(0);
        let last = words(line).last().unwrap_or_default();
        if name == b"LOC:" {
            counts.timer += count;
        } else if name == b"DBL:" || last.starts_with(b"IPI") {
            counts.ipi += count;
        }
    }
    counts
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b' ').filter(|word| !word.is_empty())
}
