//! An invalidation seen on another CPU: a guest reads a page in a loop there, the page is unmapped here, and the guest's next read there has to fault.

use super::guest::{self, LOOP, LPID, THERE};
use super::{Hardware, Report};
use crate::boot::fdt::Machine;
use crate::cpus::{All, CpuError, Started, until};
use crate::powernv::world::Bare;
use core::sync::atomic::{AtomicU64, Ordering};
use hv_core::guest::host::{Next, Short};
use hv_core::guest::{Exit, Vcpu, World};
use hv_core::mmu::{Seat, StorageFault};
use ppc64_arch::addr::GuestReal;
use ppc64_arch::cpu;
use ppc64_arch::pvr::Pvr;

/// The page that is read, and then is not there.
const PAGE: u64 = 0x5_0000;
/// Seconds that the other CPU may take to begin, and to notice.
const PATIENCE: u64 = 10;
/// Answers of the other CPU.
const FAULTED: u64 = 1;
const SILENT: u64 = 2;
const OTHER: u64 = 3;

/// What the other CPU needs to know, and what it saw.
struct Table {
    pvr: AtomicU64,
    decrementer_bits: AtomicU64,
    ticks: AtomicU64,
    /// The guest real address of its fault, and the timebase then.
    claim: AtomicU64,
    left: AtomicU64,
}

static TABLE: Table = {
    let [pvr, decrementer_bits, ticks, claim, left] = [const { AtomicU64::new(0) }; 5];
    Table { pvr, decrementer_bits, ticks, claim, left }
};

/// A line for each other CPU.
#[inline(never)]
pub fn run(report: &mut Report, machine: &Machine, seat: &Seat<'_, '_, Hardware>, others: &All) {
    for other in others {
        let name = "tlbie";
        let pir = other.pir();
        match one(machine, seat, other) {
            Ok(Seen { answer: FAULTED, turns, after, .. }) if turns > 0 => {
                report.check(
                    name,
                    Ok(format_args!("PIR {pir}: {turns} turns, then faulted {after} ticks after the flush began")),
                );
            }
            Ok(Seen { answer, turns, claim, .. }) => {
                let what = match answer {
                    FAULTED => "faulted without having read",
                    SILENT => "goes on reading the page that was unmapped",
                    _ => "left the guest for another reason",
                };
                report.check(name, Err(format_args!("PIR {pir}: {what} ({turns} turns, last address {claim:#x})")));
            }
            Err(why) => report.check(name, Err(format_args!("PIR {pir}: {why}"))),
        }
    }
    if others.is_empty() {
        report.check("tlbie", Ok(format_args!("skipped: one CPU")));
    }
}

/// What was seen of a CPU.
struct Seen {
    answer: u64,
    /// How often the guest had read the page.
    turns: u64,
    /// Where it faulted.
    claim: u64,
    /// Ticks from the beginning of the flush to its exit.
    after: i64,
}

fn one(machine: &Machine, seat: &Seat<'_, '_, Hardware>, other: &Started) -> Result<Seen, CpuError> {
    let ticks = machine.timebase_hz.saturating_mul(PATIENCE);
    TABLE.pvr.store(u64::from(machine.pvr.raw()), Ordering::Relaxed);
    TABLE.decrementer_bits.store(u64::from(machine.decrementer_bits), Ordering::Relaxed);
    TABLE.ticks.store(ticks, Ordering::Relaxed);
    TABLE.claim.store(0, Ordering::Relaxed);
    // Both are there before the guest reads them: the other CPU resolves nothing.
    let ready = guest::doubleword(seat, PAGE, 0).and_then(|()| guest::doubleword(seat, THERE, 0));
    if ready.is_err() {
        return Err(CpuError::Silent);
    }
    let unmap = || {
        let turns = || guest::read(seat, THERE).unwrap_or(0);
        until(ticks, || turns() > 1000);
        let (turns, begin) = (turns(), cpu::timebase());
        let (from, to) = (GuestReal::new(PAGE), GuestReal::new(PAGE + 4096));
        // One that could not be unmapped is read on, which is what is then told.
        _ = seat.with_cpu(|space, cpu| space.unmap(cpu, from, to));
        (turns, begin)
    };
    let (answer, (turns, begin)) = other.run(read_on, 0, unmap)?;
    let after = TABLE.left.load(Ordering::Relaxed).wrapping_sub(begin).cast_signed();
    Ok(Seen { answer, turns, claim: TABLE.claim.load(Ordering::Relaxed), after })
}

/// Ends the stay at everything.
struct Nothing;

impl Short for Nothing {
    fn storage(&mut self, _: &mut Vcpu, _: &StorageFault) -> Next {
        Next::Whole
    }

    fn call(&mut self, _: &mut Vcpu) -> Next {
        Next::Whole
    }
}

/// On the other CPU: runs the loop until it faults, or time is up.
extern "C" fn read_on(_: u64) -> u64 {
    let bits = crate::decrementer::low_word(TABLE.decrementer_bits.load(Ordering::Relaxed));
    let pvr = Pvr::new(crate::decrementer::low_word(TABLE.pvr.load(Ordering::Relaxed)));
    let Some(design) = pvr.cpu() else { return OTHER };
    let mut world = Bare::new(design, bits);
    let mut vcpu = guest::processor(LOOP, PAGE, false);
    debug_assert!(vcpu.hv.lpid == LPID, "both CPUs are at one partition");
    let deadline = cpu::timebase().saturating_add(TABLE.ticks.load(Ordering::Relaxed));
    while cpu::timebase() < deadline {
        match world.enter(&mut vcpu, deadline, &mut Nothing) {
            Exit::Storage(fault) => {
                TABLE.left.store(cpu::timebase(), Ordering::Relaxed);
                TABLE.claim.store(fault.claim.raw(), Ordering::Relaxed);
                let there = fault.claim.align_down(ppc64_arch::addr::LeafSize::Size4K).raw() == PAGE;
                return if there { FAULTED } else { OTHER };
            }
            Exit::Hdec | Exit::External => {}
            _ => return OTHER,
        }
    }
    SILENT
}
