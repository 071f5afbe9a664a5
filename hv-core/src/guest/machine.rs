//! What the processors of a guest share, and how a call can end.

use super::vty::Vty;
use super::xics::Xics;

/// The guest's machine but for its memory and processors.
#[derive(Debug)]
pub struct Machine {
    /// What the guest was promised.
    pub settings: Settings,
    /// Its interrupt controller.
    pub xics: Xics,
    /// Its terminal.
    pub vty: Vty,
    /// What set-time-of-day added to the host's clock, in seconds.
    pub clock_offset: i64,
}

/// What the guest was promised, fixed while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Processors, numbered from 0.
    pub cpus: u32,
    /// Whether H_SET_MODE may move the interrupt vectors (LPCR\[AIL\]).
    pub relocatable_vectors: bool,
    /// Whether the guest may ask for upkeep of its own memory, to measure what it costs.
    pub bench: bool,
    /// Whether the processor has Power ISA 3.1: a second watchpoint, and no AIL = 2.
    pub isa_3_1: bool,
    /// The longest time, in timebase ticks, that an idle guest goes without a look at the console, if the host's console does
    /// not interrupt us.
    pub console_poll: Option<u64>,
}

impl Machine {
    /// A machine before its first instruction.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, xics: Xics::new(settings.cpus), vty: Vty::new(), clock_offset: 0 }
    }

    /// Whether there is a processor of this number.
    #[must_use]
    pub const fn has_cpu(&self, id: u64) -> bool {
        id < self.settings.cpus as u64
    }
}

/// What is to be done after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// The guest goes on.
    Resume,
    /// The processor was ceded: sleep until there is something for it.
    Idle,
    /// RTAS power-off.
    PowerOff,
    /// RTAS system-reboot.
    Reboot,
    /// RTAS ibm,os-term: the guest's kernel gave up.
    GuestPanic,
    /// The guest cannot go on.
    Stop(StopReason),
}

/// Why a guest cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Each of its processors called stop-self.
    AllStopped,
    /// The host has no frame left.
    OutOfMemory,
    /// The tables that make its memory hold what nobody wrote there.
    MachineError,
    /// The same instruction met the same storage interrupt with the same registers again and again.
    NoProgress {
        /// That instruction's address.
        nip: u64,
    },
    /// A machine check came while MSR\[ME\] was off.
    Checkstop,
    /// A vector that cannot be.
    Unexpected(u16),
    /// The platform could not run the guest; its error code.
    EntryFailed(i64),
}
