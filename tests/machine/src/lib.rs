//! A machine for tests: host memory in an arena, and CPUs that translate as hardware does, stale translations included.
//!
//! ```text
//!   guest access ─► TLB ─┬─ hit ───────────────────────────────► host address
//!                        └─ miss ─► page-walk cache ─► tables ─┬─ leaf: cached ─┘
//!                                                              └─ none: storage interrupt
//! ```
//!
//! A [`Machine`] is the [`Hardware`](hv_core::mmu::Hardware) below hv-core's tables. What a CPU found stays cached until a flush that names it: by partition, by range *and size* for leaves,
//! and only by partition for the tables on the way to them. So a flush that is missing, that names the wrong address or that comes too early shows itself as an
//! access to the wrong frame, or ends the test where hardware would misbehave:
//!
//! | what | how it is seen |
//! | --- | --- |
//! | no flush, or a misdirected one | the old frame is read and written; [`Machine::incoherence`] names it |
//! | a change of frame or size without a flush in between | panic, on whichever CPU it is cached still |
//! | a table freed or replaced without a partition flush | the stale table is walked |
//! | a flush before the entry was changed | [`Machine::speculate`]: CPUs walk again as soon as they have forgotten |
//! | R or C read before the flush has completed | [`Recording::Late`] |
//! | a CPU that no flush reaches | `Machine<false>`: `flush` concerns the CPU that calls ([`on_cpu`]) |
//! | a frame freed while it can be reached | [`Machine::reaches`], given the pool's free frames |

mod access;
mod arena;
mod check;
mod cpu;
mod hardware;
mod owned;
mod recording;
mod tables;
mod tlb;
mod translate;

pub use access::Fault;
pub use arena::Arena;
pub use owned::{Free, Owned};
pub use recording::Recording;
pub use translate::{Translation, Walked};

use cpu::{CpuState, Partition};
use hv_core::mmu::{Flush, Frame, FramePool, Memory};
use hv_core::sync::{AtomicU64, Ordering};
use ppc64_arch::addr::{HostReal, LeafSize};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

/// Where the arena begins in host real addresses: not 0, so that a guest address taken for a host one is noticed. A multiple of 1 GiB.
pub const ARENA_BASE: HostReal = HostReal::new(0x1_0000_0000);

/// Flushes that are remembered for [`Machine::take_flushes`].
const FLUSHES: usize = 4096;

thread_local! {
    /// The CPU that the thread is.
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// Makes the calling thread CPU number `cpu` from now on: the one whose caches a flush that is not broadcast empties.
pub fn on_cpu(cpu: usize) {
    CPU.set(cpu);
}

/// The machine: memory, a partition table, and each CPU's caches. `BROADCAST`: a flush reaches every CPU.
#[derive(Debug)]
pub struct Machine<const BROADCAST: bool = true> {
    arena: Arena,
    partitions: Mutex<HashMap<u32, (u64, u64)>>,
    cpus: Vec<Mutex<CpuState>>,
    /// By CPU, whether it was asked to leave the guest.
    kicked: Vec<AtomicU64>,
    flushes: Mutex<Vec<Flush>>,
    recording: AtomicU64,
    speculates: AtomicU64,
}

impl Machine {
    /// A machine with `bytes` of memory (a multiple of 2 MiB) and `cpus` CPUs, on which flushes reach them all.
    #[must_use]
    pub fn new(bytes: u64, cpus: usize) -> Self {
        Self::build(bytes, cpus, 0)
    }

    /// The machine with a frame pool over its memory but for the first `reserved` bytes (a multiple of 4 KiB), which images can stand in. Leaked: it lives as long as the test.
    #[must_use]
    pub fn with_pool(bytes: u64, cpus: usize, reserved: u64) -> &'static Memory<Self> {
        Owned::new(Self::new(bytes, cpus), reserved).leak()
    }
}

impl<const BROADCAST: bool> Machine<BROADCAST> {
    /// A machine of either kind. The first `quiet` bytes of its memory hold zeros, the others rubbish. R and C are set by the hardware, at once.
    #[must_use]
    pub fn build(bytes: u64, cpus: usize, quiet: u64) -> Self {
        Self {
            arena: Arena::new(ARENA_BASE, bytes, quiet),
            partitions: Mutex::default(),
            cpus: (0..cpus).map(|_| Mutex::default()).collect(),
            kicked: (0..cpus).map(|_| AtomicU64::new(0)).collect(),
            flushes: Mutex::default(),
            recording: AtomicU64::new(Recording::AtOnce as u64),
            speculates: AtomicU64::new(0),
        }
    }

    /// Who sets R and C from now on, and when.
    pub fn set_recording(&self, recording: Recording) {
        self.recording.store(recording as u64, Ordering::Relaxed);
    }

    /// Makes it hardware that leaves R and C to software for good.
    pub fn leave_reference_to_software(&self) {
        self.set_recording(Recording::Software);
    }

    /// Makes every CPU walk again, as soon as a flush has made it forget, for what it forgot: as CPUs that are in the guest meanwhile may do.
    pub fn speculate(&self) {
        self.speculates.store(1, Ordering::Relaxed);
    }

    /// The memory itself, for tests to look into.
    #[must_use]
    pub const fn arena(&self) -> &Arena {
        &self.arena
    }

    /// How many CPUs it has.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.cpus.len()
    }

    /// The flushes that were asked for since the last call, at most the first 4096.
    pub fn take_flushes(&self) -> Vec<Flush> {
        std::mem::take(&mut *held(&self.flushes))
    }

    /// Whether CPU `cpu` was asked to leave the guest since the last call.
    pub fn take_kick(&self, cpu: usize) -> bool {
        self.kicked[cpu].swap(0, Ordering::Relaxed) != 0
    }

    /// Carries out what CPU `cpu` still owes of R and C, but for the newest `keep` updates. How many those were.
    pub fn deliver(&self, cpu: usize, keep: usize) -> usize {
        let mut state = held(&self.cpus[cpu]);
        let many = state.pending.len().saturating_sub(keep);
        let late = state.pending.split_off(many);
        let delivered = state.deliver(&self.arena, |_| true);
        state.pending = late;
        delivered
    }

    fn partition(&self, lpid: u32) -> Partition<'_> {
        let pate = held(&self.partitions).get(&lpid).map_or(0, |pate| pate.0);
        Partition { arena: &self.arena, pate, lpid }
    }
}

/// The bytes that a pool has handed out and not got back, for leak checks.
#[must_use]
pub fn outstanding<const BROADCAST: bool>(memory: &Memory<Machine<BROADCAST>>, given: u64) -> u64 {
    given - memory.pool.free_bytes()
}

/// A frame of a pool as large as asked for, given straight back: whether there is one.
#[must_use]
pub fn has_frame(pool: &FramePool, size: LeafSize) -> bool {
    pool.take(size).map(|frame: Frame| pool.put(frame)).is_some()
}

/// A lock whose holder may have ended its test.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
