//! One CPU at one space: where faults come in, and where the hypervisor itself reads and writes guest memory.

use super::cache::FrameCache;
use super::discipline::Discipline;
use super::fault::{Request, permits, resolve, resolve_own};
use super::hardware::{Flush, Hardware};
use super::ledger::Purse;
use super::pins::{MAX_CPUS, Pins};
use super::request::{Access, Reflect, Resolution, StorageFault};
use super::slot::Found;
use super::space::Space;
use super::stats::{Outcome, Stats};
use super::store::Reader;
use super::stream::Stream;

use core::cell::RefCell;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::Entry;
use ppc64_arch::trap::Hdsisr;

/// How often an access of the hypervisor's own looks again before it gives up. Each turn means that another CPU took the page away or has it in
/// transit.
const OWN_TURNS: u32 = 1 << 16;

/// What a CPU brings along to every space: its number, its frames, its counters.
#[derive(Debug)]
pub struct Cpu {
    id: usize,
    /// The slot that the last fault fell into.
    pub(super) hint: usize,
    /// What it has drawn on the account of the guest at which it sits.
    pub(super) purse: Purse,
    /// Where it compresses.
    pub(super) buffer: Reader,
    /// Where its faults seem to be going.
    pub(super) stream: Stream,
    /// Its frames.
    pub frames: FrameCache,
    /// What it counted.
    pub stats: Stats,
}

impl Cpu {
    /// CPU number `id`, or `None` if that is not below [`MAX_CPUS`]. No two CPUs share a number.
    #[must_use]
    pub fn new(id: usize) -> Option<Self> {
        (id < MAX_CPUS).then(|| Self {
            id,
            hint: 0,
            purse: Purse::default(),
            buffer: Reader::default(),
            stream: Stream::default(),
            frames: FrameCache::new(),
            stats: Stats::default(),
        })
    }

    /// The same CPU, each of whose faults makes its own page and no other: for measuring what one page costs.
    #[must_use]
    pub const fn one_page_a_fault(mut self) -> Self {
        self.stream = Stream::ONE_PAGE;
        self
    }

    /// What it has counted, the draws of its frames included.
    #[must_use]
    pub fn counted(&self) -> Stats {
        let mut stats = self.stats.clone();
        stats.draws = self.frames.draws();
        stats
    }

    /// Its number.
    #[must_use]
    #[inline]
    pub const fn id(&self) -> usize {
        self.id
    }
}

/// Why the hypervisor could not reach guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// Part of the range lies in no slot, or wraps.
    Outside,
    /// A write to a read-only slot.
    ReadOnly,
    /// No frame was left for it.
    OutOfMemory,
    /// The page stayed in transit, or the tables are broken.
    Stuck,
}

/// A CPU at a space.
pub struct Seat<'a, 'm, H, D: Discipline + 'a = Pins> {
    space: &'a Space<'m, H, D>,
    desk: D::Desk<'a>,
    cpu: RefCell<Cpu>,
}

impl<'a, 'm, H: Hardware, D: Discipline> Seat<'a, 'm, H, D> {
    /// Seats `cpu` at `space`.
    pub fn new(space: &'a Space<'m, H, D>, cpu: Cpu) -> Self {
        Self { space, desk: space.pins().desk(cpu.id()), cpu: RefCell::new(cpu) }
    }

    /// The space.
    pub const fn space(&self) -> &'a Space<'m, H, D> {
        self.space
    }

    /// Works with the CPU: its counters, or a mutation of the space. Not to be called from within itself.
    pub fn with_cpu<R>(&self, work: impl FnOnce(&Space<'m, H, D>, &mut Cpu) -> R) -> R {
        work(self.space, &mut self.cpu.borrow_mut())
    }

    /// What the CPU has counted, the draws of its frames included.
    pub fn counted(&self) -> Stats {
        self.cpu.borrow().counted()
    }

    /// Leaves the space; the CPU can take another seat.
    pub fn leave(self) -> Cpu {
        let mut cpu = self.cpu.into_inner();
        self.space.ledger().settle(&mut cpu.purse);
        cpu
    }

    /// To be called right before the CPU enters the guest: from now on it counts as inside, and a flush that it missed outside is made up for.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Fixed(LeafSize::Size4K)).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// seat.enter();
    /// // The guest runs here, until an interrupt ends that.
    /// seat.leave_guest();
    /// ```
    #[inline]
    pub fn enter(&self) {
        if !self.space.memory().hardware.broadcasts() && self.space.residency().enter(self.cpu.borrow().id()) {
            self.space.memory().hardware.flush(Flush::Partition { lpid: self.space.lpid() });
        }
    }

    /// To be called right after it left the guest.
    #[inline]
    pub fn leave_guest(&self) {
        if !self.space.memory().hardware.broadcasts() {
            self.space.residency().leave(self.cpu.borrow().id());
        }
    }

    /// Resolves a guest storage interrupt. The fault's registers are claims: only the address and the kind of access are used, and the tables are looked at.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Fixed(LeafSize::Size4K)).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// use ppc64_arch::addr::EffAddr;
    ///
    /// let fault = |at| StorageFault {
    ///     access: Access::Write,
    ///     ea: EffAddr::new(0xc000_0000_0000_1000),
    ///     claim: GuestReal::new(at),
    ///     table_walk: false,
    ///     cause: None,
    /// };
    /// assert_eq!(seat.fault(&fault(0x1000)), Resolution::Resume);
    /// // Outside every slot: the guest's own interrupt.
    /// assert_eq!(seat.fault(&fault(1 << 30)), Resolution::Reflect(Reflect::NoSlot));
    /// ```
    #[inline]
    pub fn fault(&self, fault: &StorageFault) -> Resolution {
        if let Some(why) = incurable(fault) {
            self.cpu.borrow_mut().stats.fault(fault.access, false, Outcome::Reflected);
            return Resolution::Reflect(why);
        }
        let request = Request { at: fault.claim, access: needed(fault), own: false };
        resolve(self.space, self.desk, &mut self.cpu.borrow_mut(), request)
    }

    /// To be called when a fault has ended in [`Resolution::Wait`], with a `token` below 64 that nobody else uses. The fault has to be tried once more then; if it still has to wait, its vCPU may be put
    /// aside, and the space's waker is told when to try again.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{EffAddr, GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// struct Waker;
    ///
    /// impl Wake for Waker {
    ///     fn wake(&self, tokens: u64) {
    ///         // The scheduler queues the vCPUs in `tokens` again.
    ///     }
    /// }
    ///
    /// # let space = Space::new(memory, 1, Granule::Fixed(LeafSize::Size4K)).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    /// # let (ea, claim) = (EffAddr::new(0), GuestReal::new(0));
    /// # let fault = StorageFault { access: Access::Read, ea, claim, table_walk: false, cause: None };
    /// space.set_waker(&Waker);
    /// let vcpu = 5;
    /// if let Resolution::Wait(_) = seat.fault(&fault) {
    ///     seat.wait(vcpu);
    ///     match seat.fault(&fault) {
    ///         Resolution::Wait(_) => { /* the vCPU sleeps until it is woken, and enters the guest again */ }
    ///         _ => seat.unwait(vcpu),
    ///     }
    /// }
    /// ```
    pub fn wait(&self, token: u32) {
        self.space.waiters().wait(token);
    }

    /// The one with `token` does not wait any more. It may be woken once more all the same.
    pub fn unwait(&self, token: u32) {
        self.space.waiters().unwait(token);
    }

    /// Copies guest memory at `at` to `into`. On an error `into` may be partly written.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Fixed(LeafSize::Size4K)).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// let mut bytes = [1; 8];
    /// // Nobody has touched this page before: it is made, as the slot says.
    /// seat.read(GuestReal::new(0x5000), &mut bytes).unwrap();
    /// assert_eq!(bytes, [0; 8]);
    /// assert_eq!(seat.read(GuestReal::new(u64::MAX), &mut bytes), Err(AccessError::Outside));
    /// ```
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn read(&self, at: GuestReal, into: &mut [u8]) -> Result<(), AccessError> {
        self.check(at, into.len() as u64)?;
        for (page, range) in pages(at, into.len()) {
            let piece = &mut into[range];
            // SAFETY: 1. `touch` holds a pin: the frame is not freed meanwhile. 2. The piece lies in one page.
            self.touch(page, Access::Read, |hardware, host| unsafe { hardware.read(host, piece) })?;
        }
        Ok(())
    }

    /// Copies `from` to guest memory at `at`. The range is checked before the first byte is written.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Fixed(LeafSize::Size4K)).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// // From one page into the next.
    /// seat.write(GuestReal::new(0x1ffc), b"two pages").unwrap();
    /// let mut bytes = [0; 9];
    /// seat.read(GuestReal::new(0x1ffc), &mut bytes).unwrap();
    /// assert_eq!(&bytes, b"two pages");
    /// ```
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn write(&self, at: GuestReal, from: &[u8]) -> Result<(), AccessError> {
        self.check(at, from.len() as u64)?;
        for (page, range) in pages(at, from.len()) {
            let piece = &from[range];
            // SAFETY: 1. As in `read`. 2. A leaf that permits stores is not shared.
            self.touch(page, Access::Write, |hardware, host| unsafe { hardware.write(host, piece) })?;
        }
        Ok(())
    }

    /// Fills `bytes` bytes of guest memory at `at` with zeros.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn zero(&self, at: GuestReal, bytes: u64) -> Result<(), AccessError> {
        const ZEROS: [u8; 256] = [0; 256];
        self.check(at, bytes)?;
        let mut done = 0;
        while done < bytes {
            let piece = (bytes - done).min(ZEROS.len() as u64);
            self.write(at.checked_add(done).ok_or(AccessError::Outside)?, &ZEROS[..piece as usize])?;
            done += piece;
        }
        Ok(())
    }

    /// Makes what was stored to `at..at + bytes` visible to instruction fetch. Parts that are not mapped for reading need nothing.
    pub fn make_fetchable(&self, at: GuestReal, bytes: u64) {
        if self.check(at, bytes).is_err() {
            return;
        }
        for (page, range) in pages(at, bytes as usize) {
            // SAFETY: 1. `touch` holds a pin: the frame is not freed meanwhile. 2. The piece lies in one page.
            let sync = |hardware: &H, host| unsafe { hardware.make_executable(host, range.len() as u64) };
            // A page that cannot be reached holds nothing to be fetched.
            let _unreachable = self.touch(page, Access::Read, sync);
        }
    }

    /// Whether `at..at + bytes` lies in the guest's slots as a whole.
    #[must_use]
    pub fn contains(&self, at: GuestReal, bytes: u64) -> bool {
        self.check(at, bytes).is_ok()
    }

    /// Whether a leaf lets the guest fetch at `at` just now.
    #[must_use]
    pub fn is_fetchable(&self, at: GuestReal) -> bool {
        let _pin = D::pin(self.desk);
        self.permitted(at, Access::Fetch, self.cpu.borrow().hint).is_some()
    }

    fn check(&self, at: GuestReal, bytes: u64) -> Result<(), AccessError> {
        let end = at.checked_add(bytes).ok_or(AccessError::Outside)?;
        for _ in 0..OWN_TURNS {
            let pin = D::pin(self.desk);
            match self.space.slots().cover(at.raw(), end.raw()) {
                Some(true) => return Ok(()),
                Some(false) => return Err(AccessError::Outside),
                None => {}
            }
            drop(pin);
            self.space.await_mutation();
        }
        Err(AccessError::Stuck)
    }

    /// Runs `work` on the host address of `at` once the entry there permits the access, under the pin under which that was seen.
    fn touch(&self, at: GuestReal, access: Access, work: impl FnOnce(&H, HostReal)) -> Result<(), AccessError> {
        let mut cpu = self.cpu.borrow_mut();
        for _ in 0..OWN_TURNS {
            {
                let _pin = D::pin(self.desk);
                if let Some(host) = self.permitted(at, access, cpu.hint) {
                    work(&self.space.memory().hardware, host);
                    return Ok(());
                }
            }
            match resolve_own(self.space, self.desk, &mut cpu, at, access) {
                Resolution::Resume => {}
                Resolution::Wait(_) => self.space.await_mutation(),
                Resolution::Reflect(Reflect::ReadOnly) => return Err(AccessError::ReadOnly),
                Resolution::Reflect(_) => return Err(AccessError::Outside),
                Resolution::OutOfMemory => return Err(AccessError::OutOfMemory),
                Resolution::MachineError => return Err(AccessError::Stuck),
            }
        }
        Err(AccessError::Stuck)
    }

    /// While what this returns lives, nothing is freed that the CPU can reach.
    #[cfg(feature = "hash")]
    #[inline]
    pub(crate) fn pin(&self) -> D::Pin<'a> {
        D::pin(self.desk)
    }

    /// The page of `size` at `at` in host memory, if it is there in one piece, and whether it may be stored to without a fault. Under a pin of the caller's: a slot that was seen open stays so.
    #[cfg(feature = "hash")]
    #[inline(always)]
    pub(crate) fn look(&self, at: GuestReal, size: u64) -> Option<(HostReal, bool)> {
        let Found::Slot(_) = self.space.slots().find(at, self.cpu.borrow().hint) else { return None };
        // SAFETY: 1. The caller is pinned, and the slot was stable after that.
        let seen = unsafe { self.space.walk_here(at) };
        match (seen.entry(), seen.place.level.leaf) {
            (Entry::Leaf(leaf), Some(of)) if size <= of.bytes() && permits(leaf, Access::Read) => {
                let frame = leaf.frame().checked_add(at.offset_in(of) & !(size - 1))?;
                Some((frame, permits(leaf, Access::Write)))
            }
            _ => None,
        }
    }

    /// Makes the page at `at` such that the access can go on, as a fault does.
    #[cfg(feature = "hash")]
    #[inline(never)]
    pub(crate) fn prepare(&self, at: GuestReal, access: Access) -> Resolution {
        resolve(self.space, self.desk, &mut self.cpu.borrow_mut(), Request { at, access, own: false })
    }

    /// The host address of `at`, if its slot is stable and its leaf permits the access. Under the caller's pin.
    fn permitted(&self, at: GuestReal, access: Access, hint: usize) -> Option<HostReal> {
        let Found::Slot(_) = self.space.slots().find(at, hint) else { return None };
        // SAFETY: 1. The caller is pinned, and the slot was stable after that.
        let seen = unsafe { self.space.walk(at) };
        match (seen.entry(), seen.place.level.leaf) {
            (Entry::Leaf(leaf), Some(size)) if permits(leaf, access) => leaf.frame().checked_add(at.offset_in(size)),
            _ => None,
        }
    }
}

/// Causes that no mapping cures.
fn incurable(fault: &StorageFault) -> Option<Reflect> {
    let cause = Hdsisr::from_bits_retain(fault.cause?) & (Hdsisr::BAD_TREE | Hdsisr::ATOMIC_ON_CI);
    (!cause.is_empty()).then(|| Reflect::Unsupported(cause.bits()))
}

/// The access that has to be permitted. A walk of the guest's own tables reads them, and writes them to set R or C; which of the two it was, a cause of
/// protection tells.
fn needed(fault: &StorageFault) -> Access {
    if !fault.table_walk {
        return fault.access;
    }
    let cause = Hdsisr::from_bits_retain(fault.cause.unwrap_or(0));
    if cause.contains(Hdsisr::PROTECTION) { Access::Write } else { Access::Read }
}

/// The pieces of `at..at + length` that lie in one 4 KiB page each: where, and which part of the buffer. The caller checked that the range does not
/// wrap.
fn pages(at: GuestReal, length: usize) -> impl Iterator<Item = (GuestReal, core::ops::Range<usize>)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let here = at.checked_add(done as u64).filter(|_| done < length)?;
        let room = (LeafSize::Size4K.bytes() - here.offset_in(LeafSize::Size4K)) as usize;
        let piece = done..(done + room).min(length);
        done = piece.end;
        Some((here, piece))
    })
}
