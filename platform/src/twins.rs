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
use hv_core::guest::{Counters, Ended, Machine, Runner, Vcpu};
use hv_core::mmu::{Memory, Seat, Space};

/// Runs both to their ends. Neither can begin anew.
///
/// # Errors
/// [`Refusal`]: one of them cannot be.
pub fn run(host: &Host, payload: &Payload, options: &Options, memory: &Memory<Hardware>) -> Result<Ended, Refusal> {
    let names = ["first: ", "second: "];
    let platforms = names.map(|name| Pseries::named(name, guest::terminal(host), host.timebase_hz));
    let plan = |lpid, options, platform| Guest::plan(lpid, host, payload, options, memory, platform);
    let guests =
        [plan(guest::LPID, options.clone(), &platforms[0])?, plan(guest::LPID + 1, options.of_twin(), &platforms[1])?];
    let spaces: [Box<Space<'_, Hardware>>; 2] =
        [Box::new(guests[0].space(memory, options)?), Box::new(guests[1].space(memory, options)?)];
    let mut twins =
        [Twin::new(&guests[0], &spaces[0], 0, &platforms[0])?, Twin::new(&guests[1], &spaces[1], 1, &platforms[1])?];
    let [one, two] = &mut twins;
    let (mut one, mut two) = (one.runner(&platforms[0]), two.runner(&platforms[1]));
    let (mut ended, mut other) = (None, None);
    loop {
        ended = ended.or_else(|| one.turn());
        other = other.or_else(|| two.turn());
        if let (Some(ended), Some(other)) = (ended, other) {
            return Ok(if ended == Ended::PowerOff { other } else { ended });
        }
    }
}

/// One of them. On the heap: the stack is made for one guest.
struct Twin<'a> {
    seat: Box<Seat<'a, 'a, Hardware>>,
    world: Nested,
    machine: Box<Machine>,
    vcpu: Box<Vcpu>,
    counters: Box<Counters>,
}

impl<'a> Twin<'a> {
    /// Its memory is made, and its vCPU stands before the first instruction. `cpu` is the number of its share of this CPU.
    fn new(guest: &Guest<'_>, space: &'a Space<'a, Hardware>, cpu: usize, platform: &Pseries) -> Result<Self, Refusal> {
        let seat = Box::new(Seat::new(space, guest::cpu(cpu)?));
        let (machine, vcpu) = guest.begin(&seat, platform, guest.listen())?;
        let (machine, vcpu, counters) = (Box::new(machine), Box::new(vcpu), Box::default());
        Ok(Self { seat, world: guest.world_in_turns(), machine, vcpu, counters })
    }

    fn runner<'t>(&'t mut self, platform: &'t Pseries) -> Runner<'t, Nested, Pseries, Seat<'a, 'a, Hardware>> {
        Runner::new(&mut self.world, platform, &*self.seat, &mut self.machine, &mut self.vcpu, &mut self.counters)
    }
}
