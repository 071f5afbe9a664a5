//! Two other disciplines, to be measured against. They differ from ours in nothing but how faults and mutations keep out of each other's way.

use hv_core::mmu::Discipline;
use hv_core::mmu::pins::Pins;
use hv_core::sync::{AtomicU64, CacheLine, Lock, LockGuard, Ordering, relax};

/// Makes a baseline as large as ours, so that what follows it in a space has the same offset and the compiler makes the same code of all the rest.
type Room = [u8; size_of::<Pins>() - size_of::<CacheLine<AtomicU64>>()];

const _: () = assert!(size_of::<OneLock>() == size_of::<Pins>() && size_of::<ReadWrite>() == size_of::<Pins>());

/// One lock for a guest, held for a whole attempt: faults take turns. KVM-HV's radix faults all meet at one such lock.
#[derive(Debug)]
pub struct OneLock {
    lock: CacheLine<Lock<()>>,
    _room: Room,
}

impl Default for OneLock {
    fn default() -> Self {
        Self { lock: CacheLine(Lock::new(())), _room: [0; _] }
    }
}

impl Discipline for OneLock {
    type Desk<'a> = &'a Self;
    type Pin<'a> = LockGuard<'a, ()>;

    fn desk(&self, _cpu: usize) -> &Self {
        self
    }

    #[inline]
    fn pin<'a>(desk: &'a Self) -> Self::Pin<'a>
    where
        Self: 'a,
    {
        desk.lock.0.lock()
    }

    fn grace(&self) {
        // Who held it before has let it go.
        drop(self.lock.0.lock());
    }
}

const WRITER: u64 = 1;
const READER: u64 = 2;

/// A lock that lets faults in together and keeps them out while a mutation waits: a count of readers, and a bit for the writer.
#[derive(Debug)]
pub struct ReadWrite {
    count: CacheLine<AtomicU64>,
    _room: Room,
}

impl Default for ReadWrite {
    fn default() -> Self {
        Self { count: CacheLine::default(), _room: [0; _] }
    }
}

impl Discipline for ReadWrite {
    type Desk<'a> = &'a Self;
    type Pin<'a> = Reading<'a>;

    fn desk(&self, _cpu: usize) -> &Self {
        self
    }

    #[inline]
    fn pin<'a>(desk: &'a Self) -> Reading<'a>
    where
        Self: 'a,
    {
        // Acquire: pairs with the release at the end of `grace`.
        while desk.count.0.fetch_add(READER, Ordering::Acquire) & WRITER != 0 {
            desk.count.0.fetch_sub(READER, Ordering::Relaxed);
            while desk.count.0.load(Ordering::Relaxed) & WRITER != 0 {
                relax();
            }
        }
        Reading(&desk.count.0)
    }

    fn grace(&self) {
        while self.count.0.fetch_or(WRITER, Ordering::Acquire) & WRITER != 0 {
            relax();
        }
        // Acquire: pairs with the release of each reader.
        while self.count.0.load(Ordering::Acquire) != WRITER {
            relax();
        }
        self.count.0.fetch_and(!WRITER, Ordering::Release);
    }
}

/// One reader of a [`ReadWrite`].
#[derive(Debug)]
pub struct Reading<'a>(&'a AtomicU64);

impl Drop for Reading<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.fetch_sub(READER, Ordering::Release);
    }
}
