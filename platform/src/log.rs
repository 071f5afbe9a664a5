//! The hypervisor's log: defmt records, encoded here and formatted on the host.
//!
//! A record costs the fault path a few stores: it is encoded (rzcobs, so that a reader can start in the middle) into a ring in memory.
//! The ring is written to the second virtual terminal later: in the slow exits of the run loop when more than half of it is
//! used, and at every ending. A record that finds no room is left out as a whole, and how many were is logged. Without a
//! second terminal everything is dropped.
//!
//! A debugger, or whoever reads a dump of memory, finds the ring by the symbol `samewise_log`, or by its magic word on a boundary of 128 bytes. All words are doublewords in the machine's
//! little-endian order, addresses are real:
//!
//! | offset | what |
//! | --- | --- |
//! | 0x00 | the characters `SAMEWLOG` |
//! | 0x08 | where the ring stands |
//! | 0x10 | its bytes, a power of two |
//! | 0x18 | how many bytes were written in all, whole records only; modulo the ring's size it is where the next record goes |
//! | 0x20 | how many of them were sent to the terminal |
//!
//! What is in the ring goes through `defmt-print` like what was sent; its beginning may be in the middle of a record, which the decoder skips.
//!
//! Any CPU may log. A record is made in a critical section: interrupts off, and one CPU at a time ([`crate::claim`]). Another claim is the terminal's, so that what two CPUs drain does not get mixed:
//! who has it takes bytes out of the ring and writes them, outside the critical section, since a terminal may be slow. A CPU that only happens by (a time slice, a sleep) does not wait for it.

use crate::claim::Claim;
use crate::terminal::Terminal;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use critical_section::RestoreState;
use ppc64_arch::cpu;
use ppc64_arch::spr::live;
use ppc64_arch::trap::Msr;
use spin::Once;

/// Bytes of the ring; a power of two.
const RING: usize = 64 * 1024;

/// Where the log goes, if anywhere.
static TERMINAL: Once<Terminal> = Once::new();
/// Timebase at the start of the log, and ticks a second.
static CLOCK: Once<(u64, u64)> = Once::new();
/// Who writes to the terminal.
static DRAINER: Claim = Claim::new();
/// Records that found no room since the last report.
static LOST: AtomicU64 = AtomicU64::new(0);

/// What a debugger looks for.
const MAGIC: u64 = u64::from_ne_bytes(*b"SAMEWLOG");

/// Describes the ring in memory; the module's head has the layout.
#[repr(C, align(128))]
struct Header {
    magic: u64,
    bytes: &'static [AtomicU8; RING],
    size: u64,
    written: AtomicU64,
    drained: AtomicU64,
}

static BYTES: [AtomicU8; RING] = [const { AtomicU8::new(0) }; RING];

// SAFETY: 1. nothing else has this name.
#[unsafe(export_name = "samewise_log")]
static HEADER: Header =
    Header { magic: MAGIC, bytes: &BYTES, size: RING as u64, written: AtomicU64::new(0), drained: AtomicU64::new(0) };

static LOG: Log = Log(UnsafeCell::new(State {
    encoder: defmt::Encoder::new(),
    ring: Ring { written: 0, drained: 0, record: 0, full: false },
    restore: RestoreState::invalid(),
}));

struct Log(UnsafeCell<State>);

// SAFETY: 1. the state is reached only through `with`, inside a critical section.
unsafe impl Sync for Log {}

struct State {
    encoder: defmt::Encoder,
    ring: Ring,
    /// What ends the critical section that the current record holds.
    restore: RestoreState,
}

impl Log {
    /// Runs `work` on the state.
    ///
    /// # Safety
    /// The caller is in a critical section, and not inside another `with`.
    unsafe fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: 1. the critical section keeps everyone else out; 2. no second reference, by the caller.
        work(unsafe { &mut *self.0.get() })
    }
}

/// Encoded records, waiting. Positions count up for ever; their low bits are the index.
struct Ring {
    written: u64,
    drained: u64,
    /// Where the current record began, to go back to if it does not fit.
    record: u64,
    full: bool,
}

impl Ring {
    fn begin(&mut self) {
        self.record = self.written;
        self.full = false;
    }

    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.full || self.used() == RING as u64 {
                self.full = true;
                return;
            }
            BYTES[Self::index(self.written)].store(byte, Ordering::Relaxed);
            self.written += 1;
        }
    }

    fn end(&mut self) {
        if self.full {
            self.written = self.record;
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        // Release: whoever reads the ring by its header finds whole records.
        HEADER.written.store(self.written, Ordering::Release);
    }

    const fn used(&self) -> u64 {
        self.written - self.drained
    }

    const fn index(position: u64) -> usize {
        crate::memory::index(position) % RING
    }

    /// Takes up to 16 bytes out; how many.
    fn pop(&mut self, into: &mut [u8; 16]) -> usize {
        let mut count = 0;
        while count < into.len() && self.drained < self.written {
            into[count] = BYTES[Self::index(self.drained)].load(Ordering::Relaxed);
            self.drained += 1;
            count += 1;
        }
        HEADER.drained.store(self.drained, Ordering::Relaxed);
        count
    }
}

#[defmt::global_logger]
struct Logger;

// SAFETY: 1. `acquire` enters a critical section that `release` ends, so records do not interleave; 2. `write` and `flush` come between the two.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: 1. `release` ends it with the same token; 2. defmt does not nest records.
        let restore = unsafe { critical_section::acquire() };
        // SAFETY: 1. in the critical section just entered.
        unsafe {
            LOG.with(|log| {
                log.restore = restore;
                log.ring.begin();
                let State { encoder, ring, .. } = log;
                encoder.start_frame(|bytes| ring.push(bytes));
            });
        }
    }

    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: 1. in `acquire`'s critical section, which ends here with the token it began with.
        unsafe {
            let restore = LOG.with(|log| {
                let State { encoder, ring, restore } = log;
                encoder.end_frame(|bytes| ring.push(bytes));
                ring.end();
                *restore
            });
            critical_section::release(restore);
        }
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: 1. in `acquire`'s critical section.
        unsafe {
            LOG.with(|log| {
                let State { encoder, ring, .. } = log;
                encoder.write(bytes, |bytes| ring.push(bytes));
            });
        }
    }
}

defmt::timestamp!("{=u64:us}", microseconds());

/// Microseconds since the log's clock was set.
fn microseconds() -> u64 {
    CLOCK.get().map_or(0, |&(start, hz)| {
        let ticks = u128::from(cpu::timebase().wrapping_sub(start));
        u64::try_from(ticks * 1_000_000 / u128::from(hz.max(1))).unwrap_or(u64::MAX)
    })
}

/// Starts the clock of the timestamps.
pub fn set_clock(hz: u64) {
    CLOCK.call_once(|| (cpu::timebase(), hz));
}

/// Sends the log to `terminal` from now on.
pub fn attach(terminal: Terminal) {
    TERMINAL.call_once(|| terminal);
}

/// Writes the ring out if more than half of it is used, and nobody is at it.
pub fn drain_if_filling() {
    let used = critical_section::with(|_| {
        // SAFETY: 1. in a critical section, not inside another `with`.
        unsafe { LOG.with(|log| log.ring.used()) }
    });
    if used > RING as u64 / 2 {
        flush_if_free();
    }
}

/// Writes the ring out, unless another CPU is at it.
pub fn flush_if_free() {
    if DRAINER.try_take() {
        write_out();
        DRAINER.give_back();
    }
}

/// Writes the ring out. When it returns, all that this CPU logged before is written.
pub fn flush() {
    let taken = DRAINER.take();
    write_out();
    if taken {
        DRAINER.give_back();
    }
}

/// Writes the ring out, and how many records are missing in it.
fn write_out() {
    let lost = LOST.swap(0, Ordering::Relaxed);
    if lost > 0 {
        drain();
        defmt::warn!("{=u64} log records found no room and were left out", lost);
    }
    drain();
}

/// Writes out what is in the ring now, 16 bytes (one hcall) at a time; without a terminal it is thrown away.
fn drain() {
    let mut bytes = [0; 16];
    loop {
        let count = critical_section::with(|_| {
            // SAFETY: 1. in a critical section, not inside another `with`.
            unsafe { LOG.with(|log| log.ring.pop(&mut bytes)) }
        });
        if count == 0 {
            return;
        }
        if let Some(terminal) = TERMINAL.get() {
            terminal.write_all(&bytes[..count]);
        }
    }
}

/// How many bytes were logged in all: where the next record begins.
#[must_use]
pub fn position() -> u64 {
    HEADER.written.load(Ordering::Acquire)
}

/// The byte that was logged as number `position`, if it is still in the ring.
#[must_use]
pub fn byte_at(position: u64) -> Option<u8> {
    let end = self::position();
    let there = position < end && end - position <= RING as u64;
    there.then(|| BYTES[Ring::index(position)].load(Ordering::Relaxed))
}

/// How many records found no room since that was last reported.
#[must_use]
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Whether the header is what a debugger expects.
#[must_use]
pub fn is_intact() -> bool {
    // SAFETY: 1. a static is read; 2. volatile, since it is asked whether memory still holds what the compiler knows it to.
    let (magic, size) =
        unsafe { ((&raw const HEADER.magic).read_volatile(), (&raw const HEADER.size).read_volatile()) };
    let (written, drained) = (position(), HEADER.drained.load(Ordering::Relaxed));
    let ring = HEADER.bytes.as_ptr().addr() == BYTES.as_ptr().addr();
    magic == MAGIC && size == RING as u64 && ring && drained <= written && written - drained <= size
}

/// Who is in the critical section.
static HOLDER: Claim = Claim::new();

struct OneCpu;
critical_section::set_impl!(OneCpu);

/// Bits of what `acquire` tells `release`.
mod found {
    /// Interrupts were on.
    pub const ENABLED: u64 = 1;
    /// This CPU was in the critical section already.
    pub const INSIDE: u64 = 2;
}

// SAFETY: 1. the claim is one CPU's at a time, and with MSR[EE]=0 nothing else runs there; 2. nested sections leave it to the outermost one; 3. `release` restores what `acquire` found.
unsafe impl critical_section::Impl for OneCpu {
    unsafe fn acquire() -> critical_section::RawRestoreState {
        let enabled = live::msr().contains(Msr::EE);
        if enabled {
            live::disable_interrupts();
        }
        let inside = if HOLDER.take() { 0 } else { found::INSIDE };
        inside | if enabled { found::ENABLED } else { 0 }
    }

    unsafe fn release(state: critical_section::RawRestoreState) {
        if state & found::INSIDE == 0 {
            HOLDER.give_back();
        }
        if state & found::ENABLED != 0 {
            live::enable_interrupts();
        }
    }
}
