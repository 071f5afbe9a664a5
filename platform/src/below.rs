//! What is below us: a PAPR hypervisor, or the hardware itself. Only what everybody has to ask, the rest is behind [`Platform`].

use crate::boot::fdt::Machine;
use crate::boot::refusal::Refusal;
use crate::hardware;
use crate::host::Around;
use crate::terminal::Terminal;
use crate::{cpus, powernv, pseries};
use hv_core::guest::World;
use hv_core::guest::cmdline::{Options, SelfTest};
use ppc64_arch::pvr::Cpu;
use ppc64_arch::spr::live;
use ppc64_arch::trap::Msr;

/// The two kinds of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A partition under a PAPR hypervisor.
    Pseries,
    /// The hardware, in hypervisor state.
    PowerNv,
}

/// Which of them: a partition cannot have MSR\[HV\].
#[must_use]
pub fn kind() -> Kind {
    if live::msr().contains(Msr::HV) { Kind::PowerNv } else { Kind::Pseries }
}

/// One kind of machine, as the code that starts guests sees it.
pub trait Platform {
    /// What runs a vCPU.
    type World: GuestWorld + Send;
    /// Whether there can be hash guests: where not, no code is made for them.
    const HASHES: bool;

    /// Makes the machine ready to run guests.
    ///
    /// # Errors
    /// [`Refusal`]: it cannot.
    fn init(machine: &Machine, options: &Options) -> Result<(), Refusal>;
    /// Checks machine and hypervisor, and tells on the console what was seen; whether all is well.
    ///
    /// # Errors
    /// [`Refusal`]: it cannot even begin, or there is nothing of ours to check on this platform.
    fn self_test(machine: &Machine, wanted: &SelfTest) -> Result<bool, Refusal>;
    /// Its memory.
    fn hardware() -> hardware::Machine;
    /// The machine around a guest whose console is `terminal`.
    fn host(machine: &Machine, terminal: Terminal) -> Around;
    /// A world on this CPU.
    fn world(machine: &Machine, cpu: Cpu) -> Self::World;
    /// The guest's terminal.
    fn terminal(machine: &Machine) -> Terminal;
    /// Has the console interrupt us when something is typed; whether it will.
    fn listen(machine: &Machine) -> bool;
    /// Starts further CPUs, and says how many there are then, the boot CPU (number 0) included: `wanted`, or fewer, which is logged.
    fn cpus(machine: &Machine, wanted: usize) -> usize {
        cpus::start_all(machine, wanted)
    }
    /// Runs `job` with each CPU's number on all of them at once, the boot CPU included, which calls this; returns when all are done.
    fn on_each(job: &(dyn Fn(usize) + Sync)) {
        cpus::on_each(job);
    }
    /// Whether a guest may have its interrupts delivered with relocation on.
    fn relocatable_vectors(cpu: Cpu) -> bool;
}

/// A world that can be prepared for another guest.
pub trait GuestWorld: World {
    /// Has partition `lpid` begin anew: nothing is left of it in registers that entering does not load.
    fn renew(&mut self, lpid: u32);
}

/// Has interrupts arrive in little-endian mode. Anything that goes wrong before this is silent.
pub fn use_little_endian_interrupts() {
    match kind() {
        Kind::Pseries => _ = pseries::use_little_endian_interrupts(),
        Kind::PowerNv => powernv::early(),
    }
}

/// Sleeps until this CPU is kicked, or for no good reason; nothing of a guest is in it.
pub fn rest() {
    match kind() {
        Kind::Pseries => pseries::rest(),
        Kind::PowerNv => powernv::rest(),
    }
}

/// Makes known what the device tree says about whom to call.
pub fn learn(machine: &Machine) {
    match kind() {
        Kind::Pseries => pseries::rtas::learn(machine.rtas),
        Kind::PowerNv => powernv::opal::learn(machine.opal),
    }
}

/// Where the log goes, if the machine has a place for it.
#[must_use]
pub fn log_terminal(machine: &Machine) -> Option<Terminal> {
    match kind() {
        Kind::Pseries => machine.terminals.get(1).map(|vty| Terminal::Vty(pseries::console::Vty::new(vty.unit))),
        Kind::PowerNv => powernv::uart::log(machine).map(Terminal::Uart),
    }
}

/// Switches the machine off, all being well.
pub fn power_off() -> ! {
    match kind() {
        Kind::Pseries => pseries::rtas::power_off(),
        Kind::PowerNv => powernv::opal::power_off(),
    }
}

/// Stops the machine as failed.
pub fn fail() -> ! {
    match kind() {
        Kind::Pseries => pseries::rtas::os_term(),
        Kind::PowerNv => powernv::opal::power_off(),
    }
}
