//! A guest of several CPUs that count, and one CPU of the hypervisor's.

use hv_core::mmu::audit::Audit;
use hv_core::mmu::stats::Pages;
#[cfg(feature = "delays")]
use hv_core::mmu::stats::Stats;
use hv_core::mmu::{Access, AccessError, Config, Cpu, Reflect, Resolution, Seat, SlotSpec, Source, Space, Wake};
use hv_core::sync::Ordering;
use machine::{ARENA_BASE, Fault, Machine, Owned, Recording, on_cpu};
use ppc64_arch::addr::{GuestReal, HostReal};
use ppc64_arch::radix::geometry;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

pub const MIB: u64 = 1 << 20;
pub const PAGE: u64 = 0x1000;
/// CPUs that count. The next number is the hypervisor's.
pub const GUESTS: usize = 2;
const LPID: u32 = 9;
/// The slots: zeros, and an image whose every doubleword says which it is.
const ZEROS: u64 = 6 * MIB;
const IMAGE: u64 = 2 * MIB;
const IMAGE_AT: u64 = 8 * MIB;
/// Turns of waiting for others before the test is ended.
const PATIENCE: u32 = 10_000_000;
/// Accesses of the hypervisor's that gave up, before the test is ended.
const TRIES: u32 = 1000;

/// Pages of an image that one load maps.
#[cfg(feature = "delays")]
const AROUND: usize = 16;
/// How long a CPU sleeps that nobody wakes, before the test is ended.
const NEVER: Duration = Duration::from_secs(60);

/// Where CPUs sleep while a fault of theirs has to wait: a bit for each that was woken.
#[derive(Debug, Default)]
struct Bells {
    rung: Mutex<u64>,
    any: Condvar,
}

impl Wake for Bells {
    fn wake(&self, tokens: u64) {
        *self.rung.lock().unwrap() |= tokens;
        self.any.notify_all();
    }
}

impl Bells {
    fn sleep(&self, cpu: usize) {
        let (rung, bit) = (self.rung.lock().unwrap(), 1 << cpu);
        let (mut rung, _) = self.any.wait_timeout_while(rung, NEVER, |rung| *rung & bit == 0).unwrap();
        assert!(*rung & bit != 0, "nobody wakes CPU {cpu}");
        *rung &= !bit;
    }
}

/// The machine and the space are given up, not given back: what is behind them lives as long as the test.
pub struct Guests<const BROADCAST: bool> {
    space: Space<'static, Machine<BROADCAST>>,
    bells: &'static Bells,
    own: Mutex<Option<Cpu>>,
    /// By CPU: what every page of its has been counted up to, and the CPU itself, once it is done.
    done: Mutex<Vec<(usize, Vec<u64>, Cpu)>>,
    given: u64,
}

impl<const BROADCAST: bool> Guests<BROADCAST> {
    pub fn new(granule: hv_core::mmu::Granule, recording: Recording, budget: Option<u64>) -> Self {
        let hardware = Machine::build(32 * MIB, GUESTS + 1, IMAGE);
        hardware.set_recording(recording);
        hardware.speculate();
        for (index, word) in (0..).zip(hardware.arena().words(ARENA_BASE, (IMAGE / 8) as usize)) {
            word.store(index, Ordering::Relaxed);
        }
        let owned = Owned::new(hardware, IMAGE);
        let given = owned.given();
        let memory = owned.leak();
        let budget = budget.map(|pages| pages * PAGE);
        let space = Space::build(memory, LPID, &Config { granule, budget, ..Config::default() }).unwrap();
        let image = Source::Image { at: HostReal::new(ARENA_BASE.raw()), bytes: IMAGE };
        for (base, bytes, source) in [(0, ZEROS, Source::Zero), (IMAGE_AT, IMAGE, image)] {
            let spec = SlotSpec { base: GuestReal::new(base), bytes, source, read_only: false };
            // SAFETY: 1. Nobody writes to the image.
            unsafe { space.add_slot(&spec) }.unwrap();
        }
        let bells: &Bells = Box::leak(Box::default());
        space.set_waker(bells);
        Self { space, bells, own: Mutex::new(Cpu::new(GUESTS)), done: Mutex::default(), given }
    }

    pub fn slots(&self) -> [GuestReal; 2] {
        [GuestReal::new(0), GuestReal::new(IMAGE_AT)]
    }

    pub fn slot(&self, random: &mut Random) -> GuestReal {
        self.slots()[random.below(2) as usize]
    }

    pub fn pages(&self) -> impl Iterator<Item = GuestReal> + '_ {
        (0..ZEROS).chain(IMAGE_AT..IMAGE_AT + IMAGE).step_by(PAGE as usize).map(GuestReal::new)
    }

    pub fn somewhere(&self, random: &mut Random) -> GuestReal {
        self.pages().nth(random.below((ZEROS + IMAGE) / PAGE) as usize).unwrap()
    }

    /// Sits the hypervisor's CPU down for `work`.
    pub fn seated<T>(&self, work: impl FnOnce(&Seat<'_, 'static, Machine<BROADCAST>>) -> T) -> T {
        let mut own = self.own.lock().unwrap();
        let seat = Seat::new(&self.space, own.take().unwrap());
        let done = work(&seat);
        *own = Some(seat.leave());
        done
    }

    pub fn mutate<T>(&self, work: impl FnOnce(&Space<'static, Machine<BROADCAST>>, &mut Cpu) -> T) -> T {
        self.seated(|seat| seat.with_cpu(work))
    }

    pub fn read_page(&self, at: GuestReal) -> Vec<u8> {
        let mut page = vec![0; PAGE as usize];
        for _ in 0..TRIES {
            match self.seated(|seat| seat.read(at, &mut page)) {
                Ok(()) => return page,
                // The CPU that makes room was taken off its processor by the test's operating system.
                Err(AccessError::Stuck) => thread::yield_now(),
                Err(why) => panic!("reading {at} ends in {why:?}"),
            }
        }
        panic!("reading {at} does not get anywhere")
    }

    /// CPU `id` counts `many` times, in pages of its choice: half of the time near the last one.
    pub fn count(&self, id: usize, many: u64) {
        on_cpu(id);
        let seat = Seat::new(&self.space, Cpu::new(id).unwrap());
        let pages: Vec<_> = self.pages().collect();
        let mut counts: Vec<u64> = pages.iter().map(|page| first(word(*page, id))).collect();
        let mut random = Random::new(id as u64 + 1);
        let mut index = 0;
        for _ in 0..many {
            let step = if random.below(2) == 0 { random.below(4) } else { random.below(pages.len() as u64) };
            index = (index + step as usize) % pages.len();
            let at = word(pages[index], id);
            let seen = self.reach(&seat, id, |machine| machine.load_u64(id, LPID, at)).unwrap();
            assert_eq!(seen, counts[index], "CPU {id} at {at}");
            if self.reach(&seat, id, |machine| machine.store_u64(id, LPID, at, seen + 1)).is_some() {
                counts[index] += 1;
            }
        }
        self.done.lock().unwrap().push((id, counts, seat.leave()));
    }

    /// CPU `id` touches a page of the image in each group that a load maps, each at the same moment as the other CPU.
    #[cfg(feature = "delays")]
    pub fn touch(&self, id: usize, access: Access, image: GuestReal, together: &std::sync::atomic::AtomicU64) {
        on_cpu(id);
        let seat = Seat::new(&self.space, Cpu::new(id).unwrap());
        let mut counts: Vec<u64> = self.pages().map(|page| first(word(page, id))).collect();
        let pages: Vec<_> = self.pages().collect();
        let touched = pages.into_iter().zip(&mut counts).filter(|(page, _)| *page >= image).step_by(AROUND);
        for (index, (page, count)) in (1..).zip(touched) {
            let at = word(page, id);
            together.fetch_add(1, Ordering::Relaxed);
            while together.load(Ordering::Relaxed) < index * GUESTS as u64 {
                thread::yield_now();
            }
            if access == Access::Read {
                assert_eq!(self.reach(&seat, id, |machine| machine.load_u64(id, LPID, at)), Some(*count));
            } else if self.reach(&seat, id, |machine| machine.store_u64(id, LPID, at, *count + 1)).is_some() {
                *count += 1;
            }
        }
        self.done.lock().unwrap().push((id, counts, seat.leave()));
    }

    /// The guest accesses, and sleeps while its fault has to wait; `None` if the slot is read-only just now.
    fn reach<T>(
        &self,
        seat: &Seat<'_, '_, Machine<BROADCAST>>,
        id: usize,
        work: impl Fn(&Machine<BROADCAST>) -> Result<T, Fault>,
    ) -> Option<T> {
        for _ in 0..PATIENCE {
            seat.enter();
            let done = work(&seat.space().memory().hardware);
            seat.leave_guest();
            let fault = match done {
                Ok(done) => return Some(done),
                Err(fault) => fault,
            };
            match self.resolve(seat, id, fault) {
                Resolution::Resume | Resolution::Wait(_) => {}
                Resolution::Reflect(Reflect::ReadOnly) if fault.access == Access::Write => return None,
                ended => panic!("{fault:?} ends in {ended:?}"),
            }
        }
        panic!("an access does not get anywhere");
    }

    fn resolve(&self, seat: &Seat<'_, '_, Machine<BROADCAST>>, id: usize, fault: Fault) -> Resolution {
        let first = seat.fault(&fault.into());
        if !matches!(first, Resolution::Wait(_)) {
            return first;
        }
        seat.wait(id as u32);
        let second = seat.fault(&fault.into());
        match second {
            Resolution::Wait(_) => self.bells.sleep(id),
            _ => seat.unwait(id as u32),
        }
        second
    }

    /// What all CPUs counted that are done, and the hypervisor's.
    #[cfg(feature = "delays")]
    pub fn counted(&self) -> Stats {
        let mut sum = self.seated(|seat| seat.counted());
        self.done.lock().unwrap().iter().for_each(|(_, _, cpu)| sum.merge(&cpu.stats));
        sum
    }

    /// Every count is what its CPU knows; the books balance; everything is given back.
    pub fn check(&self) {
        let done = std::mem::take(&mut *self.done.lock().unwrap());
        assert_eq!(done.len(), GUESTS);
        for (index, page) in self.pages().enumerate() {
            let bytes = self.read_page(page);
            for (id, counts, _) in &done {
                let seen = u64::from_le_bytes(bytes[8 * id..8 * id + 8].try_into().unwrap());
                assert_eq!(seen, counts[index], "CPU {id}'s count at {page}");
            }
        }
        let mut cpus: Vec<_> = done.into_iter().map(|(_, _, cpu)| cpu).collect();
        self.check_books(&cpus);
        self.mutate(|space, cpu| space.clear(cpu));
        cpus.extend(self.own.lock().unwrap().take());
        let pool = &self.space.memory().pool;
        cpus.iter_mut().for_each(|cpu| cpu.frames.drain(pool));
        // The root alone is out.
        assert_eq!((pool.free_bytes() + geometry::ROOT.table_bytes(), pool.double_frees()), (self.given, 0));
    }

    fn check_books(&self, cpus: &[Cpu]) {
        let audit = Audit::of(&self.space);
        let (mut live, mut unmapped) = (Pages::default(), Pages::default());
        let own = self.own.lock().unwrap();
        for cpu in cpus.iter().chain(own.as_ref()) {
            live.merge(&cpu.stats.made);
            unmapped.merge(&cpu.stats.unmapped);
        }
        live.subtract(&unmapped);
        assert_eq!((live, audit.transit, audit.broken), (audit.live, 0, 0));
    }
}

/// What the doubleword holds before it is counted in.
fn first(at: GuestReal) -> u64 {
    at.raw().checked_sub(IMAGE_AT).map_or(0, |offset| offset / 8)
}

/// The doubleword of CPU `id` in a page.
fn word(page: GuestReal, id: usize) -> GuestReal {
    page.checked_add(8 * id as u64).unwrap()
}

/// Numbers that follow from a seed.
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}
