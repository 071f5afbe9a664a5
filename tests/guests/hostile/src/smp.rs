//! Several vCPUs: how they are started and stopped, and how they wait for each other.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::hcall::{self, CONFER};
use crate::machine::Machine;
use crate::rtas;

/// What query-cpu-stopped-state answers of a vCPU that does not run.
pub const STOPPED: u32 = 0;
/// Ticks for which a state that is to change is looked at: five seconds at the usual 512 MHz.
const PATIENCE: u64 = 5 * 512_000_000;

/// Starts a vCPU at an address: the status.
pub fn start(machine: &Machine, server: u32, address: u64, argument: u64) -> i32 {
    let (address, argument) = (low(address), low(argument));
    machine.token("start-cpu").map_or(i32::MIN, |token| rtas::call(token, &[server, address, argument], 1).0)
}

/// Stops this vCPU. A hypervisor that lets it go on has answered wrongly: the status.
pub fn stop_self(token: u32) -> i32 {
    rtas::call(token, &[], 1).0
}

/// The state of a vCPU, if there is such a vCPU.
pub fn state(machine: &Machine, server: u32) -> Option<u32> {
    match rtas::call(machine.token("query-cpu-stopped-state")?, &[server], 2) {
        (0, state) => Some(state),
        _ => None,
    }
}

/// Waits until a vCPU has stopped; whether it has.
pub fn has_stopped(machine: &Machine, server: u32) -> bool {
    wait_for(|| state(machine, server) == Some(STOPPED))
}

/// Lets others run until something is so; whether it came to that.
pub fn wait_for(is_so: impl Fn() -> bool) -> bool {
    let start = timebase();
    loop {
        if is_so() {
            return true;
        }
        if timebase() - start > PATIENCE {
            return false;
        }
        relax();
    }
}

fn timebase() -> u64 {
    let ticks;
    // SAFETY: 1. Reads a register.
    unsafe { core::arch::asm!("mfspr {0}, 268", out(reg) ticks, options(nomem, nostack)) }
    ticks
}

/// Gives the processor to whoever has something to do.
pub fn relax() {
    hcall::call(CONFER, &[u64::MAX]);
}

/// The low 32 bits, which are all that RTAS takes.
fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

/// Where vCPUs wait until all are there.
pub struct Barrier {
    arrived: AtomicUsize,
    turn: AtomicUsize,
}

impl Barrier {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { arrived: AtomicUsize::new(0), turn: AtomicUsize::new(0) }
    }

    /// Waits for `all`, this one counted; what they wrote before is seen after. Those who are early let the others run.
    pub fn wait(&self, all: usize) {
        let turn = self.turn.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == all {
            self.arrived.store(0, Ordering::Relaxed);
            self.turn.store(turn + 1, Ordering::Release);
        }
        while self.turn.load(Ordering::Acquire) == turn {
            relax();
        }
    }
}
