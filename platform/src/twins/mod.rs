//! The same guest twice, in two partitions that take turns on one CPU, or move between several: for tests of what a switch between two vCPUs loses or lets through
//! (`samewise.twins=`). With `on` both are of the kind that `samewise.mmu=` says, with `mixed` the second is of the other kind.
//!
//! They take turns at each exit that ends a stay, and every second one does, whether or not the short way could have resolved it. So registers that no exit
//! stores are exchanged far more often than a scheduler would have it. One whose turns are short has more of them, so that both get on.
//!
//! # Several CPUs
//!
//! Each twin goes to the next CPU after some turns, the one after more than the other. So at times both are on one CPU, in turns, and at times each has one to itself:
//!
//! ```text
//!   CPU 0    1 2 1 2 1 2 1 . 1 . 1 . . 2 . 2 . 2 1 2 1 2
//!   CPU 1                  2 . 2 . 2 1 . 1 . 1
//! ```
//!
//! A twin is handed over as the scheduler does it: put away and told that it was preempted, then queued; and then given to the other CPU (`place`), which steals it from the queue. Each CPU has its own world, and its own
//! seat at either twin's memory.
//!
//! | file | what |
//! | --- | --- |
//! | [`twin`] | one of them: where it is, its turns, how it is handed over |
//! | [`chair`] | one CPU at one twin, of either kind |
//! | [`world`] | a CPU's world, shared by both |

mod chair;
mod twin;
mod world;

use crate::below::Platform;
use crate::boot::fdt::Machine as Host;
use crate::boot::payload::Payload;
use crate::boot::refusal::Refusal;
use crate::hardware::Machine as Hardware;
use crate::report;
use core::cell::RefCell;
use core::sync::atomic::{AtomicU64, Ordering};
use hv_core::guest::cmdline::Options;
use hv_core::guest::sched::NEVER;
use hv_core::guest::{Counters, Ended, Runner, World};
use hv_core::hash::pool::FromPool;
use hv_core::mmu::Memory;
use ppc64_arch::cpu::timebase;
pub use twin::Twin;
use twin::{OnCpu, Which};
use world::InTurns;

/// A CPU without a twin that could run looks for one so often a second, if nobody kicks it.
const LOOKS: u64 = 100;
/// Which they are. That one stays longer than the other is what brings them together and takes them apart.
const FIRST: Which = Which { name: "first", before: "first: ", number: 0, stay: 64 };
/// See [`FIRST`].
const SECOND: Which = Which { name: "second", before: "second: ", number: 1, stay: 54 };

/// Runs both to their ends. Neither can begin anew.
///
/// # Errors
/// [`Refusal`]: one of them cannot be.
pub fn run<P: Platform>(
    host: &Host,
    payload: &Payload,
    options: &Options,
    memory: &Memory<Hardware>,
) -> Result<Ended, Refusal> {
    let design = host.pvr.cpu().ok_or(Refusal::Processor(host.pvr))?;
    let cpus = P::cpus(host, options.host_cpus.unwrap_or(usize::MAX));
    let room = FromPool::new(memory);
    let plan = |which, options| Twin::plan::<P>(which, &options, host, payload, &room, cpus);
    let [first, second] = options.of_twins();
    let twins = [plan(FIRST, first)?, plan(SECOND, second)?];
    let switches = AtomicU64::new(0);
    P::on_each(&|cpu| {
        let world = RefCell::new(P::world(host, design));
        match run_on(cpu, &world, &twins, host.timebase_hz) {
            Ok(count) => _ = switches.fetch_add(count, Ordering::Relaxed),
            Err(_) => twins.iter().for_each(|twin| twin.give_up(cpu)),
        }
    });
    report::twins(&twins, cpus, switches.load(Ordering::Relaxed));
    let [first, second] = twins.each_ref().map(Twin::ended);
    Ok(if first == Ended::PowerOff { second } else { first })
}

/// Runs those that are on CPU number `cpu`, which this is, until both have ended; how often one followed the other. Its timebase counts `hz` times a second.
///
/// # Errors
/// [`Refusal`]: the CPU cannot be at one of them.
#[inline(never)]
fn run_on<W: World>(cpu: usize, world: &RefCell<W>, twins: &[Twin<'_>; 2], hz: u64) -> Result<u64, Refusal> {
    let [first, second] = twins;
    let chairs = [first.chair(cpu)?, second.chair(cpu)?];
    let [mut for_first, mut for_second] = [InTurns::new(world, hz), InTurns::new(world, hz)];
    let [mut of_first, mut of_second] = [Counters::default(); 2];
    let mut turns = Turns {
        cpu,
        used: [0; 2],
        last: 0,
        switches: 0,
        runners: [
            Runner::new(cpu, &mut for_first, first.around, &chairs[0], first.machine, &mut of_first),
            Runner::new(cpu, &mut for_second, second.around, &chairs[1], second.machine, &mut of_second),
        ],
    };
    while !twins.iter().all(Twin::has_ended) {
        if let Some(until) = turns.round(twins) {
            world.borrow_mut().idle(until.min(timebase() + hz / LOOKS));
        }
    }
    let switches = turns.switches;
    first.left(&of_first, &chairs[0].counted());
    second.left(&of_second, &chairs[1].counted());
    Ok(switches)
}

/// The turns on one CPU.
struct Turns<'a, 'm, W> {
    cpu: usize,
    runners: [OnCpu<'a, 'm, W>; 2],
    /// Ticks that each had since both can run here.
    used: [u64; 2],
    /// Whose the last one was.
    last: usize,
    /// How often it was another one's than the one before.
    switches: u64,
}

impl<W: World> Turns<'_, '_, W> {
    /// A turn for each twin that is here, but for one that had more time than the other: a turn may be a page fault, or all that a CPU does in a millisecond. If none could run: the earliest time for which one that is here wants to
    /// be woken.
    fn round(&mut self, twins: &[Twin<'_>; 2]) -> Option<u64> {
        let (mut idle, mut wakes) = (true, NEVER);
        for (number, twin) in twins.iter().enumerate() {
            if !twin.is_on(self.cpu) {
                self.used = [0; 2];
            } else if self.used[number] > self.used[1 - number] {
                idle = false;
            } else if let Some(until) = self.turn(number, twin) {
                self.used = [0; 2];
                wakes = wakes.min(until);
            } else {
                idle = false;
            }
        }
        idle.then_some(wakes)
    }

    /// One turn; if the twin sleeps instead: until when.
    fn turn(&mut self, number: usize, twin: &Twin<'_>) -> Option<u64> {
        let start = timebase();
        let sleeps = twin.turn(self.cpu, &mut self.runners[number]);
        if sleeps.is_none() {
            self.used[number] += timebase() - start;
            self.switches += u64::from(self.last != number);
            self.last = number;
        }
        sleeps
    }
}
