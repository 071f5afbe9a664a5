//! The timebases of two CPUs are in step if a reading of one always lies between two of the other that were taken around it.
//!
//! ```text
//!   boot CPU       before ── turn = 2n-1 ──────────────────────── sees 2n ── after
//!   other CPU                   └─► sees 2n-1 ── reading ── turn = 2n ─┘          before <= reading <= after
//! ```

use super::Report;
use crate::boot::fdt::Machine;
use crate::cpus::{All, CpuError, Started, until};
use core::sync::atomic::{AtomicU64, Ordering};
use hv_core::guest::cmdline::Inject;
use ppc64_arch::cpu;

/// Turns of each CPU.
const TURNS: u64 = 64;
/// Ticks that a reading may lie outside: what separate counters of one clock may differ by.
const SLACK: i64 = 8;

/// The line that goes to and fro.
#[repr(C, align(128))]
struct Table {
    turn: AtomicU64,
    reading: AtomicU64,
    /// Ticks after which the other CPU gives up.
    patience: AtomicU64,
}

static TABLE: Table = Table { turn: AtomicU64::new(0), reading: AtomicU64::new(0), patience: AtomicU64::new(0) };

/// What was seen of a CPU, in ticks.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// How far its readings lay before the boot CPU's, or after them, at worst; 0 or less: never.
    outside: i64,
    /// Its distance from the middle between the two, in the shortest turn.
    offset: i64,
    /// The shortest turn.
    shortest: i64,
}

/// A line for each other CPU.
pub fn run(report: &mut Report, machine: &Machine, others: &All, inject: Option<Inject>) {
    let ahead = if inject == Some(Inject::Timebase) { machine.timebase_hz.saturating_mul(60) } else { 0 };
    for other in others {
        match compare(other, machine.timebase_hz, ahead) {
            Ok(seen) => report.verdict(
                "timebase",
                seen.outside <= SLACK,
                format_args!(
                    "PIR {}: off by {} ticks, {} outside the boot CPU's readings; a turn takes {} ticks",
                    other.pir(),
                    seen.offset,
                    seen.outside.max(0),
                    seen.shortest
                ),
            ),
            Err(why) => report.check("timebase", Err(format_args!("PIR {}: {why}", other.pir()))),
        }
    }
    if others.is_empty() {
        report.check("timebase", Ok(format_args!("skipped: one CPU")));
    }
}

/// Plays all turns with a CPU whose readings are taken to be `ahead`.
fn compare(other: &Started, hz: u64, ahead: u64) -> Result<Seen, CpuError> {
    TABLE.turn.store(0, Ordering::Relaxed);
    TABLE.patience.store(hz.saturating_mul(10), Ordering::Relaxed);
    let turns = || {
        let mut seen = Seen { outside: i64::MIN, offset: 0, shortest: i64::MAX };
        (1..=TURNS).all(|turn| one(turn, hz, ahead, &mut seen)).then_some(seen)
    };
    let (played, seen) = other.run(answer, 0, turns)?;
    seen.filter(|_| played == TURNS).ok_or(CpuError::Silent)
}

/// The boot CPU's half of a turn; false if the other does not come.
fn one(turn: u64, hz: u64, ahead: u64, seen: &mut Seen) -> bool {
    let before = now();
    TABLE.turn.store(2 * turn - 1, Ordering::Release);
    if !until(hz.saturating_mul(10), || TABLE.turn.load(Ordering::Acquire) == 2 * turn) {
        return false;
    }
    let after = now();
    let reading = TABLE.reading.load(Ordering::Relaxed).wrapping_add(ahead);
    let distance = |from: u64, to: u64| to.wrapping_sub(from).cast_signed();
    let outside = distance(reading, before).max(distance(after, reading));
    seen.outside = seen.outside.max(outside);
    let took = distance(before, after);
    if took < seen.shortest {
        seen.shortest = took;
        seen.offset = distance(before, reading) - took / 2;
    }
    true
}

/// The other CPU's half: how many turns it played.
extern "C" fn answer(_: u64) -> u64 {
    let patience = TABLE.patience.load(Ordering::Relaxed);
    let played = (1..=TURNS).take_while(|turn| {
        let asked = until(patience, || TABLE.turn.load(Ordering::Acquire) == 2 * turn - 1);
        if asked {
            TABLE.reading.store(now(), Ordering::Relaxed);
            // Release: the reading is there when the turn is seen.
            TABLE.turn.store(2 * turn, Ordering::Release);
        }
        asked
    });
    played.count() as u64
}

/// The timebase, read after everything before and before everything after.
fn now() -> u64 {
    cpu::hwsync();
    cpu::isync();
    let now = cpu::timebase();
    cpu::hwsync();
    now
}
