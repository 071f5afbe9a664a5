//! What the processors of a guest share, and how a call can end.
//!
//! All of it is used by several CPUs at once: interrupt controller and scheduler by atomics, the terminal behind a lock of its own, that no fault and no
//! interrupt takes.

use super::host::Host;
use super::processors::Processor;
use super::run::Ended;
use super::sched::{Kick, Sched, State};
use super::vcpu::{Entry, Vcpu};
use super::vty::Vty;
use super::xics::{VTY_SOURCE, Xics};
use crate::sync::{AtomicU64, Lock, Ordering};
use heapless::Vec;
use ppc64_arch::spr::LPCR;

pub use super::sched::MAX_VCPUS;

/// The guest's machine but for its memory.
#[derive(Debug)]
pub struct Machine {
    /// What the guest was promised.
    pub settings: Settings,
    /// Its interrupt controller.
    pub xics: Xics,
    /// Its terminal.
    pub vty: Lock<Vty>,
    /// Which of its processors run, and where.
    pub sched: Sched,
    processors: Vec<Processor, MAX_VCPUS>,
    /// What set-time-of-day added to the host's clock, in seconds, as two's complement.
    clock_offset: AtomicU64,
    /// The fields of LPCR that H_SET_MODE sets for all processors.
    modes: AtomicU64,
    ended: Lock<Option<Ended>>,
}

/// Kicks CPUs by the machine below, but not the one that asks: it sees to everything before it enters a guest.
pub struct Others<'a> {
    host: &'a dyn Host,
    me: usize,
}

impl Kick for Others<'_> {
    fn kick(&self, cpu: usize) {
        if cpu != self.me {
            self.host.kick(cpu);
        }
    }
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
    /// A machine before its first instruction, for `cpus` CPUs of the host (numbered from 0): processor 0 begins at `entry`, the others are stopped.
    #[must_use]
    pub fn new(settings: Settings, lpid: u32, entry: Entry, now: u64, cpus: usize) -> Self {
        let count = settings.cpus.min(MAX_VCPUS as u32);
        let settings = Settings { cpus: count, ..settings };
        let mut processors = Vec::new();
        let all = (0..count).map(|id| Processor::new(Vcpu::at_reset(id, lpid, entry, now)));
        processors.extend(all);
        let first = processors.first().map_or(0, |first| first.vcpu.lock().hv.lpcr);
        let sched = Sched::new(count as usize, cpus);
        // Nobody sleeps yet who could be kicked for it.
        sched.start(0, 0, &|_| {});
        Self {
            settings,
            xics: Xics::new(count),
            vty: Lock::new(Vty::new()),
            sched,
            processors,
            clock_offset: AtomicU64::new(0),
            modes: AtomicU64::new(first & SHARED_MODES),
            ended: Lock::new(None),
        }
    }

    /// Whether there is a processor of this number.
    #[must_use]
    pub const fn has_cpu(&self, id: u64) -> bool {
        id < self.settings.cpus as u64
    }

    /// The processor of this number, if there is one.
    #[must_use]
    pub fn processor(&self, id: u64) -> Option<&Processor> {
        usize::try_from(id).ok().and_then(|id| self.processors.get(id))
    }

    /// Processors and their numbers.
    pub fn processors(&self) -> impl Iterator<Item = (u32, &Processor)> {
        (0..).zip(&self.processors)
    }

    /// How CPU number `cpu` makes the others look up.
    pub fn kicks<'a>(&self, cpu: usize, host: &'a dyn Host) -> Others<'a> {
        Others { host, me: cpu }
    }

    /// Has these processors look at what is there for them: those that sleep are woken, and those that run on another CPU than `cpu`, which asks, leave the guest.
    pub fn wake(&self, tokens: u64, cpu: usize, host: &dyn Host) {
        if tokens == 0 {
            return;
        }
        let now = host.timebase();
        let asked = self.processors().filter(|(id, _)| tokens >> id & 1 != 0);
        asked.for_each(|(id, processor)| {
            if self.sched.state(id as usize) == State::Blocked {
                processor.ready(now);
            }
        });
        self.sched.wake(tokens, cpu, &self.kicks(cpu, host));
    }

    /// Has processor `id`, which is stopped, begin at `at` with `argument` in r3, as RTAS start-cpu does: 64-bit, big-endian, real mode. False: it is not stopped.
    pub fn start(&self, id: u64, at: u64, argument: u64, cpu: usize, host: &dyn Host) -> bool {
        let Some(processor) = self.processor(id) else { return false };
        let number = id as usize;
        if !self.sched.is_stopped(number) {
            return false;
        }
        // Whoever has it is starting it as well, or has just stopped it.
        let Some(mut vcpu) = processor.vcpu.try_lock() else { return false };
        if !self.sched.is_stopped(number) {
            return false;
        }
        let entry = Entry { nip: at, fdt: argument, little_endian: false };
        *vcpu = vcpu.restarted(entry, host.timebase());
        vcpu.hv.lpcr |= self.modes();
        processor.forget();
        processor.ready(host.timebase());
        self.sched.start(number, cpu, &self.kicks(cpu, host))
    }

    /// Ends the guest's run: the first word counts. Every CPU leaves it.
    pub fn end(&self, ended: Ended, cpu: usize, host: &dyn Host) {
        self.ended.lock().get_or_insert(ended);
        self.sched.end(&self.kicks(cpu, host));
    }

    /// How its run ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        *self.ended.lock()
    }

    /// Sees to the terminal, unless another CPU does so now.
    pub fn look_at_devices(&self, cpu: usize, host: &dyn Host) {
        let Some(mut vty) = self.vty.try_lock() else { return };
        vty.flush(host);
        let typed = vty.draw(host);
        drop(vty);
        if typed {
            let signalled = self.xics.signal(VTY_SOURCE, true);
            debug_assert!(signalled.is_ok(), "the terminal's source is there from the beginning");
            if let Ok(wakes) = signalled {
                self.wake(wakes.mask(), cpu, host);
            }
        }
    }

    /// Seconds that the guest's clock is ahead of the host's.
    #[must_use]
    pub fn clock_offset(&self) -> i64 {
        self.clock_offset.load(Ordering::Relaxed).cast_signed()
    }

    /// Sets them.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.clock_offset.store(seconds.cast_unsigned(), Ordering::Relaxed);
    }

    /// The bits of LPCR that all processors have in common (ILE, AIL).
    #[must_use]
    pub fn modes(&self) -> u64 {
        self.modes.load(Ordering::Relaxed)
    }

    /// Has all processors take over these bits of `lpcr`, each before it is entered next.
    pub fn set_modes(&self, lpcr: u64) {
        self.modes.store(lpcr & SHARED_MODES, Ordering::Relaxed);
    }
}

const _: () = assert!(super::xics::MAX_SERVERS == MAX_VCPUS, "each processor has a server");

/// What H_SET_MODE sets for a whole partition: byte order and place of its interrupts (LoPAR 14.5.4.3.6).
pub const SHARED_MODES: u64 = LPCR::ILE::SET.value | LPCR::AIL.val(3).value;

/// What is to be done after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// The guest goes on.
    Resume,
    /// The call was not done, and nothing is changed: the guest makes it again.
    Again,
    /// The processor was ceded: sleep until there is something for it.
    Idle,
    /// It gives its time to another one, or to any.
    Confer(Option<u32>),
    /// It runs no more until another one starts it.
    StopSelf,
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
    /// A machine check after which nobody knows what its memory holds.
    MachineCheck,
    /// A vector that cannot be.
    Unexpected(u16),
    /// The platform could not run the guest; its error code.
    EntryFailed(i64),
}
