//! The same guest twice, in two partitions that take turns on one CPU at each exit: for tests of what a switch between two vCPUs loses or lets through
//! (`samewise.twins=on`).
//!
//! What an exit leaves in the CPU (`ppc64_arch::cpu::Extended`) is loaded before each entry and saved after each exit. That is more often than a scheduler
//! would, and shows as much.

use crate::boot::fdt::Machine as Host;
use crate::boot::payload::Payload;
use crate::boot::refusal::Refusal;
use crate::guest::{self, Guest};
use crate::pseries::hardware::Machine as Hardware;
use crate::pseries::host::Pseries;
use crate::pseries::world::Nested;
use alloc::boxed::Box;
use hv_core::guest::cmdline::Options;
use hv_core::guest::{Counters, Ended, Runner};
use hv_core::mmu::{Memory, Seat};

type Twin<'m> = Runner<'m, Nested, Pseries, Seat<'m, 'm, Hardware>>;

/// Runs both to their ends. Neither can begin anew.
///
/// # Errors
/// [`Refusal`]: one of them cannot be.
pub fn run<'m>(
    host: &'m Host,
    payload: &'m Payload,
    options: &Options,
    memory: &'m Memory<Hardware>,
) -> Result<Ended, Refusal> {
    let mut twins = [
        twin("first: ", guest::LPID, options.clone(), host, payload, memory)?,
        twin("second: ", guest::LPID + 1, options.of_twin(), host, payload, memory)?,
    ];
    let mut ended = [None; 2];
    loop {
        for (twin, ended) in twins.iter_mut().zip(&mut ended) {
            *ended = ended.or_else(|| twin.turn());
        }
        if let [Some(first), Some(second)] = ended {
            return Ok(if first == Ended::PowerOff { second } else { first });
        }
    }
}

/// One of them, before its first instruction. All of it stays on the heap: the machine is switched off when the twins have ended.
#[cold]
#[inline(never)]
fn twin<'m>(
    name: &'static str,
    lpid: u32,
    options: Options,
    host: &'m Host,
    payload: &'m Payload,
    memory: &'m Memory<Hardware>,
) -> Result<Twin<'m>, Refusal> {
    let platform = &*Box::leak(Box::new(Pseries::named(name, guest::terminal(host), host.timebase_hz)));
    let space_options = options.clone();
    let guest = Guest::plan(lpid, host, payload, options, memory, platform)?;
    let space = &*Box::leak(Box::new(guest.space(memory, &space_options)?));
    // Each has a share of this CPU's own: its frames, its counters.
    let seat =
        &*Box::leak(Box::new(Seat::new(space, guest::cpu(crate::memory::index(u64::from(lpid - guest::LPID)))?)));
    let (machine, vcpu) = guest.begin(seat, platform, guest.listen())?;
    let world = Box::leak(Box::new(guest.world_in_turns()));
    let counters: &mut Counters = Box::leak(Box::default());
    Ok(Runner::new(world, platform, seat, Box::leak(Box::new(machine)), Box::leak(Box::new(vcpu)), counters))
}
