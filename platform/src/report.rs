//! What is said at the end of a run: one `stat NAME VALUE` record for each figure, then `end REASON`.
//!
//! Pages are counted twice, on the fault path and by walking the tables at the end; `pages.unaccounted` is what the two disagree by.

use crate::twins::Twin;
use hv_core::guest::{Counters, Ended, StopReason};
use hv_core::mmu::audit::Audit;
use hv_core::mmu::stats::{Outcome, Reason, Stats};
use hv_core::mmu::{Hardware, Space};

/// Prints every figure.
pub fn all<H: Hardware>(
    space: &Space<'_, H>,
    stats: &Stats,
    counters: &Counters,
    cpus: usize,
    (start, hz): (u64, u64),
) {
    stat("sched.cpus", cpus as u64);
    counters.for_each(|name, value| defmt::println!("stat {=str} {=u64}", name, value));
    if let Some(first) = counters.first_user_exit_tb {
        let micros = u128::from(first.saturating_sub(start)) * 1_000_000 / u128::from(hz.max(1));
        stat("time.first-user-us", u64::try_from(micros).unwrap_or(u64::MAX));
    }
    let audit = Audit::of(space);
    crate::log::flush();
    faults(stats);
    crate::log::flush();
    pages(stats, &audit);
    store(space, stats, &audit);
    let pool = &space.memory().pool;
    stat("memory.free-bytes", pool.free_bytes());
    stat("memory.double-frees", pool.double_frees());
    stat("image.file-bytes", crate::memory::file_bytes());
    stat("image.memory-bytes", crate::memory::image().end);
    crate::log::flush();
}

fn faults(stats: &Stats) {
    stats.for_each_fault(|kind, outcome, value| {
        defmt::println!("stat fault.{=str}.{=str} {=u64}", kind, outcome, value)
    });
    stats.for_each_retry(|reason, value| defmt::println!("stat retry.{=str} {=u64}", reason, value));
    stat("fault.discarded", stats.discarded);
    stat("fault.around", stats.around);
    stat("fault.ahead", stats.ahead);
    stat("fault.waits", stats.outcome(Outcome::Wait));
    stat("fault.locks", stats.locks);
    stat("pool.draws", stats.draws);
    stat("flush.asked", stats.flushes);
    stat("leaf.split", stats.splits);
    stat("leaf.promoted", stats.promotions);
    stat("leaf.protected", stats.protected);
    stat("log.toggled", stats.toggled);
}

/// A guest with a budget: what went to its store and came back, what stands there, and what it is charged for in all.
fn store<H: Hardware>(space: &Space<'_, H>, stats: &Stats, audit: &Audit) {
    let Some(store) = space.store() else { return };
    let held = store.held();
    stat("store.paged-out", stats.paged_out);
    stat("store.paged-in", stats.paged_in);
    stat("store.kept", stats.kept);
    stat("store.aged", stats.aged);
    stat("store.pages", held.pages);
    stat("store.compressed-bytes", held.compressed_bytes);
    stat("store.memory-bytes", held.memory_bytes);
    stat("store.unaccounted", held.pages.abs_diff(audit.stored));
    stat("store.charged-bytes", space.ledger().drawn() * 4096);
    stat("store.budget-bytes", space.ledger().budget() * 4096);
}

fn pages(stats: &Stats, audit: &Audit) {
    stats.made.for_each(|kind, size, value| defmt::println!("stat made.{=str}.{=str} {=u64}", kind, size, value));
    stats
        .unmapped
        .for_each(|kind, size, value| defmt::println!("stat unmapped.{=str}.{=str} {=u64}", kind, size, value));
    audit.live.for_each(|kind, size, value| defmt::println!("stat live.{=str}.{=str} {=u64}", kind, size, value));
    stat("pages.unaccounted", unaccounted(stats, audit));
    stat("tables.made", stats.tables_made);
    stat("tables.freed", stats.tables_freed);
    stat("tables.live", audit.tables);
    stat("tables.bytes", audit.tables * 4096);
    stat("tables.transit", audit.transit);
    stat("tables.broken", audit.broken);
    stat("tables.met-detached", stats.retries(Reason::Detached));
}

/// Pages that were made, were not unmapped, and are not there; or the other way round.
fn unaccounted(stats: &Stats, audit: &Audit) -> u64 {
    let (mut expected, mut sum) = (stats.made, 0);
    expected.subtract(&stats.unmapped);
    expected.subtract(&audit.live);
    expected.for_each(|_, _, value| sum += value.cast_signed().unsigned_abs());
    sum
}

/// Twins: what is to be known of each, and how often one followed the other on a CPU.
pub fn twins(twins: &[Twin<'_>; 2], cpus: usize, switches: u64) {
    stat("sched.cpus", cpus as u64);
    stat("twins.switches", switches);
    for twin in twins {
        let (counters, stats) = twin.counted();
        let unaccounted = unaccounted(&stats, &Audit::of(twin.home.space));
        let figures = [("entries", counters.entries), ("moves", counters.moves), ("unaccounted", unaccounted)];
        for (figure, value) in figures {
            defmt::println!("stat twins.{=str}.{=str} {=u64}", twin.which.name, figure, value);
        }
    }
}

fn stat(name: &str, value: u64) {
    defmt::println!("stat {=str} {=u64}", name, value);
}

/// The word for an ending, in the log.
#[must_use]
pub const fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::PowerOff | Ended::Reboot => "guest-power-off",
        Ended::GuestPanic => "guest-panic",
        Ended::Stopped(_) => "guest-stopped",
    }
}

/// What a person reads on the console when the guest could not go on.
pub fn explain(out: &mut impl core::fmt::Write, why: StopReason) {
    _ = match why {
        StopReason::AllStopped => writeln!(out, "samewise: the guest stopped all its processors; start it again"),
        StopReason::OutOfMemory => {
            writeln!(
                out,
                "samewise: no memory was left for the guest; give it less (samewise.memory=) or start QEMU with a larger -m"
            )
        }
        StopReason::NoProgress { nip } => {
            writeln!(out, "samewise: the guest meets the same fault at {nip:#x} for ever; see the log for its address")
        }
        StopReason::Checkstop => {
            writeln!(out, "samewise: a machine check came while the guest had them off; see the log")
        }
        StopReason::MachineCheck => {
            writeln!(out, "samewise: the machine lost something that the guest had stored; see the log")
        }
        other => writeln!(out, "samewise: the guest cannot go on: {other:?}; see the log"),
    };
}
