//! The smallest machine that the fault path runs on.

mod frames;
mod translations;
mod watch;

pub use frames::{BASE, FRAMES, IMAGE_FRAMES, PAGE};

use crate::mmu::{Flush, Hardware};
use crate::sync::AtomicU64;
#[cfg(loom)]
use crate::sync::Ordering;
use core::cell::Cell;
use frames::Frames;
use ppc64_arch::addr::{HostReal, LeafSize};
use ppc64_arch::radix::Level;
use translations::Translations;

/// What the image's pages say.
pub const IMAGE: [u64; IMAGE_FRAMES as usize] = [0x1111, 0x2222];

static PAGES: Level = Level { shift: 12, bits: 1, leaf: Some(LeafSize::Size4K), below: &[] };
/// Two levels of two entries: 16 KiB of guest real addresses. A huge leaf is two pages ([`LeafSize`] is so under loom).
pub static TOP: Level = Level { shift: 13, bits: 1, leaf: Some(LeafSize::Size2M), below: &[&PAGES] };

/// Host memory, and CPUs that cache translations until they are flushed: by a broadcast that reaches all of them, or each by itself.
pub struct Machine<const BROADCAST: bool> {
    frames: Frames,
    translations: Translations,
    sets_reference: bool,
    #[cfg(loom)]
    over: AtomicU64,
    /// Where each CPU sleeps.
    #[cfg(loom)]
    bells: [loom::sync::Notify; 3],
}

#[cfg(loom)]
use loom::thread_local;
#[cfg(shuttle)]
use shuttle::thread_local;

thread_local! {
    /// The number of the CPU that this thread of the model is.
    static CPU: Cell<usize> = Cell::new(0);
}

/// This thread is CPU number `cpu` from now on.
pub fn be_cpu(cpu: usize) {
    CPU.with(|number| number.set(cpu));
}

// SAFETY: 1. What the frames hold is accessed under watches, which find every race; a model runs on one thread of the host.
unsafe impl<const B: bool> Sync for Machine<B> {}
// SAFETY: 1. As above.
unsafe impl<const B: bool> Send for Machine<B> {}

impl<const B: bool> Machine<B> {
    /// Its memory, the image in it; hardware that sets R by itself, or that raises an interrupt where it is missing.
    pub fn new(sets_reference: bool) -> Self {
        Self {
            frames: Frames::new(IMAGE),
            translations: Translations::new(),
            sets_reference,
            #[cfg(loom)]
            over: AtomicU64::new(0),
            #[cfg(loom)]
            bells: core::array::from_fn(|_| loom::sync::Notify::new()),
        }
    }
}

#[cfg(loom)]
impl<const B: bool> Machine<B> {
    /// Tells the other CPU that the mutation has returned.
    pub fn say_that_it_is_over(&self) {
        self.over.store(1, Ordering::Release);
    }

    /// Whether it is known here that the mutation has returned.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) != 0
    }

    /// CPU number `cpu` sleeps until it is woken, or was woken already. A model in which nobody wakes it ends in a deadlock.
    pub fn sleep(&self, cpu: usize) {
        self.bells[cpu].wait();
    }
}

#[cfg(loom)]
impl<const B: bool> crate::mmu::Wake for Machine<B> {
    fn wake(&self, tokens: u64) {
        let named = self.bells.iter().enumerate().filter(|(cpu, _)| tokens >> cpu & 1 != 0);
        named.for_each(|(_, bell)| bell.notify());
    }
}

// SAFETY: 1. Addresses reach the frames they name. 2. A flush takes away what is cached on each CPU. 3. A panic ends the model.
unsafe impl<const B: bool> Hardware for Machine<B> {
    unsafe fn entries(&self, table: HostReal, count: usize) -> &[AtomicU64] {
        self.frames.words(table, count)
    }

    unsafe fn zero(&self, at: HostReal, bytes: u64) {
        self.frames.zero(at, bytes);
    }

    unsafe fn copy(&self, to: HostReal, from: HostReal, bytes: u64) {
        // SAFETY: 1. Two frames, which do not overlap; the accessors checked both ranges.
        unsafe {
            self.frames.own(to, bytes).copy_from_nonoverlapping(self.frames.still(from, bytes), bytes as usize);
        }
    }

    unsafe fn make_executable(&self, _at: HostReal, _bytes: u64) {}

    unsafe fn read(&self, at: HostReal, into: &mut [u8]) {
        // SAFETY: 1. The accessor checked the range.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(self.frames.load(at, into.len() as u64), into.len()) };
    }

    unsafe fn write(&self, at: HostReal, from: &[u8]) {
        // SAFETY: 1. The accessor checked the range.
        unsafe { self.frames.store(at, from.len() as u64).copy_from_nonoverlapping(from.as_ptr(), from.len()) };
    }

    unsafe fn bytes(&self, at: HostReal, bytes: usize) -> &[u8] {
        // SAFETY: 1. The accessor checked the range. 2. The caller has it to itself.
        unsafe { core::slice::from_raw_parts(self.frames.still(at, bytes as u64), bytes) }
    }

    unsafe fn bytes_mut(&self, at: HostReal, bytes: usize) -> &mut [u8] {
        // SAFETY: 1. and 2. as above.
        unsafe { core::slice::from_raw_parts_mut(self.frames.own(at, bytes as u64), bytes) }
    }

    fn sets_reference(&self) -> bool {
        self.sets_reference
    }

    fn broadcasts(&self) -> bool {
        B
    }

    fn flush(&self, what: Flush) {
        if B {
            self.translations.flush(what);
        } else {
            self.translations.flush_on(CPU.with(Cell::get), what);
        }
    }

    /// CPUs of these models leave the guest after each access.
    fn kick(&self, _cpu: usize) {}

    fn set_partition(&self, _lpid: u32, _scoped: u64, _process: u64) {}
}
