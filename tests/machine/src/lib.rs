//! A machine for tests: host memory in an arena, and CPUs that translate as hardware does, stale translations included.
//!
//! A [`Machine`] is the [`Hardware`] below hv-core's tables. Its CPUs access guest real addresses through [`Machine::access`]: a translation is looked for in that
//! CPU's cache first, then in the tables, from the partition table entry down, and what was found stays cached until a flush that names it.
//! So a flush that is missing or that names the wrong address shows itself as an access to the wrong frame.

mod arena;
mod translate;

pub use arena::Arena;
pub use translate::{Translation, Walked};

use hv_core::mmu::{Access, Flush, Frame, FramePool, Hardware, Memory};
use hv_core::sync::{AtomicU64, Ordering};
use ppc64_arch::addr::{EffAddr, GuestReal, HostReal, LeafSize};
use std::collections::HashMap;
use std::sync::Mutex;

/// Where the arena begins in host real addresses: not 0, so that a guest address taken for a host one is noticed.
pub const ARENA_BASE: HostReal = HostReal::new(0x1_0000_0000);

/// The machine: memory, a partition table, and each CPU's translation cache.
#[derive(Debug)]
pub struct Machine {
    arena: Arena,
    partitions: Mutex<HashMap<u32, (u64, u64)>>,
    caches: Vec<Mutex<Vec<Translation>>>,
    flushes: Mutex<Vec<Flush>>,
    sets_reference: AtomicU64,
}

impl Machine {
    /// A machine with `bytes` of memory (a multiple of 2 MiB) and `cpus` CPUs.
    #[must_use]
    pub fn new(bytes: u64, cpus: usize) -> Self {
        Self {
            arena: Arena::new(ARENA_BASE, bytes),
            partitions: Mutex::default(),
            caches: (0..cpus).map(|_| Mutex::default()).collect(),
            flushes: Mutex::default(),
            sets_reference: AtomicU64::new(1),
        }
    }

    /// The machine with a frame pool over its memory but for the first `reserved` bytes (a multiple of 4 KiB), which images can stand in. Leaked: it lives as long as the test.
    #[must_use]
    pub fn with_pool(bytes: u64, cpus: usize, reserved: u64) -> &'static Memory<Self> {
        let hardware = Self::new(bytes, cpus);
        let end = HostReal::new(ARENA_BASE.raw() + bytes);
        let blocks = (0..FramePool::blocks_for(ARENA_BASE, end)).map(|_| Default::default()).collect::<Vec<_>>();
        let pool = FramePool::new(ARENA_BASE, Vec::leak(blocks));
        // SAFETY: 1. The arena is new: nothing else uses it.
        unsafe { pool.give(HostReal::new(ARENA_BASE.raw() + reserved), end) };
        Box::leak(Box::new(Memory { hardware, pool }))
    }

    /// Makes it hardware that leaves R to software for good.
    pub fn leave_reference_to_software(&self) {
        self.sets_reference.store(0, Ordering::Relaxed);
    }

    /// The memory itself, for tests to look into.
    #[must_use]
    pub const fn arena(&self) -> &Arena {
        &self.arena
    }

    /// The flushes that were asked for since the last call.
    pub fn take_flushes(&self) -> Vec<Flush> {
        std::mem::take(&mut *self.flushes.lock().expect("no test panicked holding it"))
    }

    /// What CPU `cpu` reaches when partition `lpid` accesses `at`: a host address, or the storage interrupt.
    ///
    /// # Errors
    /// The fault as the registers would show it.
    pub fn access(&self, cpu: usize, lpid: u32, at: GuestReal, access: Access) -> Result<HostReal, Fault> {
        let mut cache = self.caches[cpu].lock().expect("no test panicked holding it");
        if let Some(hit) = cache.iter().find(|entry| entry.matches(lpid, at) && entry.permits(access)) {
            return Ok(hit.host(at));
        }
        let entry = self.partitions.lock().expect("no test panicked holding it").get(&lpid).copied();
        let walked = translate::walk(&self.arena, entry.map_or(0, |pate| pate.0), lpid, at);
        match walked {
            Walked::Found(found) if found.permits(access) => {
                cache.retain(|old| !old.matches(lpid, at));
                cache.push(found);
                Ok(found.host(at))
            }
            Walked::Found(_) => Err(Fault { access, at, protection: true }),
            Walked::Absent => Err(Fault { access, at, protection: false }),
            Walked::Broken(why) => panic!("the hardware met a tree that it does not take: {why}"),
        }
    }

    fn drop_translations(&self, gone: impl Fn(&Translation) -> bool) {
        for cache in &self.caches {
            cache.lock().expect("no test panicked holding it").retain(|entry| !gone(entry));
        }
    }
}

/// A storage interrupt of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was tried.
    pub access: Access,
    /// Where.
    pub at: GuestReal,
    /// There is a translation, but it forbids this.
    pub protection: bool,
}

impl From<Fault> for hv_core::mmu::StorageFault {
    fn from(fault: Fault) -> Self {
        Self { access: fault.access, ea: EffAddr::new(fault.at.raw()), claim: fault.at, table_walk: false, cause: None }
    }
}

// SAFETY: 1. Addresses of the arena reach the arena, others panic. 2. `flush` drops the translations of every CPU before it returns.
// 3. A panic ends the test.
unsafe impl Hardware for Machine {
    unsafe fn entries(&self, table: HostReal, count: usize) -> &[AtomicU64] {
        self.arena.words(table, count)
    }

    unsafe fn zero(&self, at: HostReal, bytes: u64) {
        self.arena.zero(at, bytes);
    }

    unsafe fn copy(&self, to: HostReal, from: HostReal, bytes: u64) {
        let mut buffer = vec![0; bytes as usize];
        self.arena.read(from, &mut buffer);
        self.arena.write(to, &buffer);
    }

    unsafe fn make_executable(&self, _at: HostReal, _bytes: u64) {}

    unsafe fn read(&self, at: HostReal, into: &mut [u8]) {
        self.arena.read(at, into);
    }

    unsafe fn write(&self, at: HostReal, from: &[u8]) {
        self.arena.write(at, from);
    }

    unsafe fn bytes(&self, at: HostReal, bytes: usize) -> &[u8] {
        // SAFETY: 1. The words are in the arena. 2. The caller has the frame to itself while the slice lives.
        unsafe { core::slice::from_raw_parts(self.arena.words(at, bytes / 8).as_ptr().cast(), bytes) }
    }

    unsafe fn bytes_mut(&self, at: HostReal, bytes: usize) -> &mut [u8] {
        let words: *const AtomicU64 = self.arena.words(at, bytes / 8).as_ptr();
        // SAFETY: 1. and 2. as in `bytes`. 3. Atomics may be written through a shared reference.
        unsafe { core::slice::from_raw_parts_mut(words.cast_mut().cast(), bytes) }
    }

    fn sets_reference(&self) -> bool {
        self.sets_reference.load(Ordering::Relaxed) != 0
    }

    const BROADCAST: bool = true;

    fn kick(&self, _cpu: usize) {}

    fn flush(&self, what: Flush) {
        self.flushes.lock().expect("no test panicked holding it").push(what);
        match what {
            Flush::Range { lpid, from, to, size } => {
                self.drop_translations(|entry| entry.is_in(lpid, from, to, size));
            }
            Flush::Partition { lpid } => self.drop_translations(|entry| entry.lpid() == lpid),
        }
    }

    fn set_partition(&self, lpid: u32, scoped: u64, process: u64) {
        self.partitions.lock().expect("no test panicked holding it").insert(lpid, (scoped, process));
        self.drop_translations(|entry| entry.lpid() == lpid);
    }
}

/// The bytes that a pool has handed out and not got back, for leak checks.
#[must_use]
pub fn outstanding(memory: &Memory<Machine>, given: u64) -> u64 {
    given - memory.pool.free_bytes()
}

/// A frame of a pool as large as asked for, given straight back: whether there is one.
#[must_use]
pub fn has_frame(memory: &Memory<Machine>, size: LeafSize) -> bool {
    memory.pool.take(size).map(|frame: Frame| memory.pool.put(frame)).is_some()
}
