//! Which vCPU runs on which CPU. Only numbers: whoever asks keeps the registers.
//!
//! ```text
//!                 start                           next, confer (stolen or not)
//!     Stopped ─────────────► Queued(queue) ─────────────────────────────► Running(cpu)
//!        ▲                    ▲    ▲                                       │  │  │
//!        │                    │    └──────────── requeue ──────────────────┘  │  │
//!        │                    │ wake, due                                     │  │
//!        │                    └───────────── Blocked(cpu) ◄───────── block ───┘  │
//!        └──────────────────────────────────── stop ────────────────────────────┘
//! ```
//!
//! **Who may do what.** A vCPU that is stopped or blocked is nobody's: one swap of its state word makes it queued, and whoever made that swap owns it until it is in a queue. A
//! queue's vCPU is its queue's: whoever takes it out owns it, and makes it running. A running one is its CPU's. An owner alone changes the state of what it owns, *before* it gives
//! it away, so that nobody runs a vCPU that somebody else still has. Others may only add a note. What the owner did is seen by the next one: it gives by release, and they take by acquire.
//! So registers, translations and the like are put away before [`Sched::requeue`], [`Sched::block`] and [`Sched::stop`].
//!
//! **No lost wake.** A reason to run is made first and told by [`Sched::wake`] then. If the vCPU is blocked, it is queued; if it is anything else, the wake is *noted*, and its next
//! [`Sched::block`] does not block: the caller looks for reasons once more, and finds what was made before the note. Both are swaps of one word, so that there is nothing in
//! between. A note is written even where there is one already: the swap is what hands over the reason.
//!
//! **Who comes.** A vCPU that can run again is put into the queue of the CPU that had it last. That CPU is kicked if it sleeps, or else one that sleeps, which steals it; or else the
//! queue's CPU is *wanted*: whom it runs should make way, for it did not sleep. A sleeper that was chosen counts as awake from then on, so that the next wake chooses another.
//! A CPU that leaves somebody in its queue as it begins to run somebody else looks for a sleeper too.
//!
//! **Nobody sleeps beside work.** This is store buffering; the fences let at least one see the other.
//!
//! ```text
//!     going_to_sleep:  sleepers += me    ; fence ; look at every queue       somebody there: do not sleep
//!     wake, next:      queue += vcpu     ; fence ; look at sleepers          somebody there: kick it
//! ```
//!
//! A kick is remembered: one that comes between `going_to_sleep` and the sleep itself ends that sleep at once.
//!
//! **Nobody starves.** Queues are first in, first out, for the woken as well: two that wake each other in turns leave a third one its slices.
//!
//! **Time.** A blocked vCPU's wake-up time is looked after by the CPU on which it blocked ([`Sched::due`]), which asks for it before each stay and each sleep.

#[cfg(all(test, loom))]
mod interleavings;
mod queue;
#[cfg(all(test, not(loom)))]
mod tests;
mod word;

use crate::sync::{AtomicU64, CacheLine, Ordering, fence};
use queue::Queue;
pub use word::State;
use word::Word;

/// The most processors of a guest.
pub const MAX_VCPUS: usize = 8;
/// The most CPUs that run one guest.
pub const MAX_CPUS: usize = 8;

/// No time at which a vCPU wakes by itself.
pub const NEVER: u64 = u64::MAX;

/// Makes a CPU look.
pub trait Kick {
    /// CPU number `cpu` leaves the guest or its sleep soon; if it is in neither, its next stay or sleep ends at once. It sees what was written before. Never waits.
    fn kick(&self, cpu: usize);
}

impl<F: Fn(usize)> Kick for F {
    fn kick(&self, cpu: usize) {
        self(cpu);
    }
}

/// In a CPU's word `wanted`: somebody woke up in its queue.
const MAKE_WAY: u64 = 1;
/// In a CPU's word `wanted`: the guest has ended.
const ENDED: u64 = 2;

/// One vCPU.
#[derive(Debug)]
struct Seat {
    word: AtomicU64,
    /// Host timebase at which it wakes if it is blocked. Written by the CPU on which it blocks.
    wake_at: AtomicU64,
}

/// One CPU.
#[derive(Debug)]
struct Side {
    queue: Queue,
    /// `MAKE_WAY`, `ENDED`.
    wanted: AtomicU64,
    /// Only this CPU uses it: whether it has a vCPU.
    busy: AtomicU64,
    /// Only this CPU uses it: the vCPU that it was given by `confer`, plus one.
    conferred: AtomicU64,
}

impl Side {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { queue: Queue::new(), wanted: zero(), busy: zero(), conferred: zero() }
    }
}

/// The vCPUs of one guest on the CPUs that run it.
///
/// Wherever a function has `cpu`, that is the CPU that calls it. Numbers of CPUs are below what [`Sched::new`] was told. Numbers of vCPUs may be anything where the guest names them
/// ([`Sched::start`], [`Sched::wake`], [`Sched::confer`], [`Sched::is_stopped`]).
#[derive(Debug)]
pub struct Sched {
    vcpus: usize,
    cpus: usize,
    seats: [CacheLine<Seat>; MAX_VCPUS],
    sides: [CacheLine<Side>; MAX_CPUS],
    /// A bit for each CPU that sleeps, or is about to, and that nobody has chosen yet.
    sleepers: CacheLine<AtomicU64>,
    /// vCPUs that are not stopped.
    alive: AtomicU64,
    ended: AtomicU64,
}

impl Sched {
    /// All are stopped, and spread over the CPUs. More than [`MAX_VCPUS`] and [`MAX_CPUS`] are not seen to; there is one CPU at least.
    #[must_use]
    pub fn new(vcpus: usize, cpus: usize) -> Self {
        let (vcpus, cpus) = (vcpus.min(MAX_VCPUS), cpus.clamp(1, MAX_CPUS));
        let seat =
            |vcpu| Seat { word: AtomicU64::new(Word::stopped(vcpu % cpus).raw()), wake_at: AtomicU64::new(NEVER) };
        Self {
            vcpus,
            cpus,
            seats: core::array::from_fn(|vcpu| CacheLine(seat(vcpu))),
            sides: core::array::from_fn(|_| CacheLine(Side::new())),
            sleepers: CacheLine(AtomicU64::new(0)),
            alive: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    /// How many vCPUs there are, stopped ones included.
    #[must_use]
    pub const fn vcpus(&self) -> usize {
        self.vcpus
    }

    /// How many CPUs there are.
    #[must_use]
    pub const fn cpus(&self) -> usize {
        self.cpus
    }

    /// Queues `vcpu` if it is stopped; false: it is not, or there is none of that number. What was written before is seen by the CPU that runs it.
    pub fn start(&self, vcpu: usize, cpu: usize, kick: &impl Kick) -> bool {
        if vcpu >= self.vcpus {
            return false;
        }
        // Before it can run: it counts when it stops.
        self.alive.fetch_add(1, Ordering::Relaxed);
        let queued = |word: Word| (word.state() == State::Stopped).then(|| word.to(State::Queued));
        match self.change(vcpu, queued) {
            Ok(before) => self.enqueue(vcpu, before.cpu(), cpu, kick),
            // The caller runs itself, so that this is not the last one.
            Err(_) => {
                self.alive.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
        }
        true
    }

    /// Tells the vCPUs of `mask` (bit n: number n) that they have a reason to run, which was made before. Those that run on another CPU are made to look for it.
    pub fn wake(&self, mask: u64, cpu: usize, kick: &impl Kick) {
        for vcpu in (0..self.vcpus).filter(|vcpu| mask >> vcpu & 1 != 0) {
            self.wake_one(vcpu, cpu, kick);
        }
    }

    fn wake_one(&self, vcpu: usize, cpu: usize, kick: &impl Kick) {
        let told = |word: Word| match word.state() {
            State::Blocked => Some(word.to(State::Queued)),
            _ => Some(word.noted()),
        };
        let Ok(before) = self.change(vcpu, told) else { return };
        match before.state() {
            State::Blocked => self.enqueue(vcpu, before.cpu(), cpu, kick),
            State::Running if before.cpu() != cpu => kick.kick(before.cpu()),
            _ => {}
        }
    }

    /// Gives CPU number `cpu`, which has none, its next vCPU: the one it was conferred, or the head of its queue, or else of another's. `None`: there is nothing to do.
    pub fn next(&self, cpu: usize, kick: &impl Kick) -> Option<usize> {
        let me = self.side(cpu);
        if me.wanted.load(Ordering::Relaxed) & MAKE_WAY != 0 {
            // Acquire: the queue as it was when it was wanted.
            me.wanted.fetch_and(!MAKE_WAY, Ordering::Acquire);
        }
        let vcpu = self.conferred(cpu).or_else(|| self.take(cpu))?;
        me.busy.store(1, Ordering::Relaxed);
        if !me.queue.is_empty() {
            self.make_one_come(cpu, kick);
        }
        Some(vcpu)
    }

    /// From its own queue first, then the others in turn.
    fn take(&self, cpu: usize) -> Option<usize> {
        let vcpu = (0..self.cpus).find_map(|turn| self.side((cpu + turn) % self.cpus).queue.pop())?;
        self.have(vcpu, cpu);
        Some(vcpu)
    }

    /// `vcpu`, which was taken out of a queue, is this CPU's.
    fn have(&self, vcpu: usize, cpu: usize) {
        let _always = self.change(vcpu, |word| Some(word.to(State::Running).on(cpu)));
    }

    /// `vcpu` made way: it goes to the tail of the queue of `cpu`, which calls [`Sched::next`] then.
    pub fn requeue(&self, vcpu: usize, cpu: usize) {
        self.side(cpu).busy.store(0, Ordering::Relaxed);
        self.put_back(vcpu, cpu);
    }

    fn put_back(&self, vcpu: usize, cpu: usize) {
        debug_assert_eq!(self.owner(vcpu), Some(cpu));
        // Before it is in the queue: whoever takes it out says that it runs.
        let _always = self.change(vcpu, |word| Some(word.to(State::Queued)));
        self.side(cpu).queue.push(vcpu);
    }

    /// `vcpu` waits for a wake, or until the host timebase is `wake_at` ([`NEVER`] is allowed). False: a wake came since it was last asked; it still runs, and its caller looks for
    /// reasons to run again before it asks again.
    #[must_use]
    pub fn block(&self, vcpu: usize, cpu: usize, wake_at: u64) -> bool {
        debug_assert_eq!(self.owner(vcpu), Some(cpu));
        self.seats[vcpu].0.wake_at.store(wake_at, Ordering::Relaxed);
        let blocked = |word: Word| match word.is_noted() {
            true => Some(word.without_note()),
            false => Some(word.to(State::Blocked)),
        };
        let blocks = self.change(vcpu, blocked).is_ok_and(|before| !before.is_noted());
        if blocks {
            self.side(cpu).busy.store(0, Ordering::Relaxed);
        }
        blocks
    }

    /// `vcpu` stops; how many are left that have not. 0: it was the last, and nothing of the guest can start one again. Exactly one is told so; to others the number may be too high
    /// while somebody starts a vCPU in vain.
    #[must_use]
    pub fn stop(&self, vcpu: usize, cpu: usize) -> u64 {
        debug_assert_eq!(self.owner(vcpu), Some(cpu));
        self.side(cpu).busy.store(0, Ordering::Relaxed);
        let _always = self.change(vcpu, |word| Some(word.without_note().to(State::Stopped)));
        // AcqRel: whoever is last has seen all of them end.
        self.alive.fetch_sub(1, Ordering::AcqRel) - 1
    }

    /// Whether `vcpu` is stopped, or does not exist.
    #[must_use]
    pub fn is_stopped(&self, vcpu: usize) -> bool {
        self.state(vcpu) == State::Stopped
    }

    /// What `vcpu` did a moment ago.
    #[must_use]
    pub fn state(&self, vcpu: usize) -> State {
        if vcpu < self.vcpus { self.word(vcpu, Ordering::Acquire).state() } else { State::Stopped }
    }

    /// How many vCPUs were not stopped a moment ago.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.alive.load(Ordering::Relaxed)
    }

    /// The vCPU that `cpu` runs lets `vcpu` go first: if that is queued anywhere, it is what [`Sched::next`] gives. False: it is not.
    #[must_use]
    pub fn confer(&self, vcpu: usize, cpu: usize) -> bool {
        if vcpu >= self.vcpus {
            return false;
        }
        let word = self.word(vcpu, Ordering::Relaxed);
        if word.state() != State::Queued || !self.side(word.cpu()).queue.remove(vcpu) {
            return false;
        }
        self.have(vcpu, cpu);
        if let Some(other) = self.conferred(cpu) {
            self.put_back(other, cpu);
        }
        self.side(cpu).conferred.store(vcpu as u64 + 1, Ordering::Relaxed);
        true
    }

    fn conferred(&self, cpu: usize) -> Option<usize> {
        let conferred = &self.side(cpu).conferred;
        let vcpu = conferred.load(Ordering::Relaxed).checked_sub(1)?;
        conferred.store(0, Ordering::Relaxed);
        Some(vcpu as usize)
    }

    /// Whether `cpu` should come back to its loop: somebody woke up in its queue, or the guest has ended. One load; read on the short way.
    #[must_use]
    #[inline]
    pub fn is_wanted(&self, cpu: usize) -> bool {
        self.side(cpu).wanted.load(Ordering::Relaxed) != 0
    }

    /// Whether somebody is in the queue of `cpu`: then a slice that is over means [`Sched::requeue`], and goes on otherwise. One load.
    #[must_use]
    #[inline]
    pub fn has_queued(&self, cpu: usize) -> bool {
        !self.side(cpu).queue.is_empty()
    }

    /// The same, asked by the CPU itself as the slice of its vCPU is over: if nobody is there, it is not wanted any more.
    #[must_use]
    pub fn is_contended(&self, cpu: usize) -> bool {
        // Acquire: the queue as it was when the CPU was wanted. Whoever comes behind this wants it anew.
        self.side(cpu).wanted.fetch_and(!MAKE_WAY, Ordering::Acquire);
        self.has_queued(cpu)
    }

    /// Wakes the vCPUs that blocked on `cpu` and whose time is `now` or before; the earliest time of the others, [`NEVER`] if there is none.
    pub fn due(&self, cpu: usize, now: u64, kick: &impl Kick) -> u64 {
        let mut earliest = NEVER;
        for vcpu in 0..self.vcpus {
            let word = self.word(vcpu, Ordering::Relaxed);
            if word.state() != State::Blocked || word.cpu() != cpu {
                continue;
            }
            let at = self.seats[vcpu].0.wake_at.load(Ordering::Relaxed);
            if at == NEVER || at > now {
                earliest = earliest.min(at);
            } else if self.change(vcpu, |found| (found == word).then(|| word.to(State::Queued))).is_ok() {
                self.enqueue(vcpu, cpu, cpu, kick);
            }
        }
        earliest
    }

    /// `cpu` has nothing to do and is about to sleep. False: there is something after all, it must not.
    #[must_use]
    pub fn going_to_sleep(&self, cpu: usize) -> bool {
        self.sleepers.0.fetch_or(1 << cpu, Ordering::Relaxed);
        // A sleeper before the looks; pairs with the fence in `make_one_come`.
        fence(Ordering::SeqCst);
        let sleeps = !self.has_ended() && (0..self.cpus).all(|other| self.side(other).queue.is_empty());
        if !sleeps {
            self.woke(cpu);
        }
        sleeps
    }

    /// `cpu` has slept, for whatever reason it woke up.
    pub fn woke(&self, cpu: usize) {
        // Acquire: what it was chosen for.
        self.sleepers.0.fetch_and(!(1 << cpu), Ordering::Acquire);
    }

    /// Makes every CPU leave its loop.
    pub fn end(&self, kick: &impl Kick) {
        self.ended.store(1, Ordering::Release);
        for cpu in 0..self.cpus {
            self.side(cpu).wanted.fetch_or(ENDED, Ordering::Release);
            kick.kick(cpu);
        }
    }

    /// Whether somebody called [`Sched::end`].
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire) != 0
    }

    /// Puts `vcpu` into the queue of CPU number `on`, and has some CPU see to it. `cpu` asks for it.
    fn enqueue(&self, vcpu: usize, on: usize, cpu: usize, kick: &impl Kick) {
        self.side(on).queue.push(vcpu);
        // It will ask for its next one by itself, and has somebody come for the rest.
        if on == cpu && self.side(cpu).busy.load(Ordering::Relaxed) == 0 {
            return;
        }
        if self.make_one_come(on, kick) {
            return;
        }
        // Release: the queue as it is now. Who is wanted already was kicked, or will be.
        let before = self.side(on).wanted.fetch_or(MAKE_WAY, Ordering::Release);
        if before & MAKE_WAY == 0 && on != cpu {
            kick.kick(on);
        }
    }

    /// Chooses a sleeper, CPU number `on` if it is one, and kicks it; false: none sleeps.
    fn make_one_come(&self, on: usize, kick: &impl Kick) -> bool {
        // The queue before the look at who sleeps; pairs with the fence in `going_to_sleep`.
        fence(Ordering::SeqCst);
        let chosen = |sleepers: u64| sleepers & !(1 << choice(sleepers, on));
        let choose = |sleepers: u64| (sleepers != 0).then(|| chosen(sleepers));
        // Release: to the sleeper, what it is chosen for.
        match self.sleepers.0.fetch_update(Ordering::Release, Ordering::Relaxed, choose) {
            Ok(sleepers) => kick.kick(choice(sleepers, on)),
            Err(_) => return false,
        }
        true
    }

    fn side(&self, cpu: usize) -> &Side {
        &self.sides[cpu].0
    }

    fn word(&self, vcpu: usize, order: Ordering) -> Word {
        Word::from_raw(self.seats[vcpu].0.word.load(order))
    }

    /// The CPU that has `vcpu`.
    fn owner(&self, vcpu: usize) -> Option<usize> {
        let word = self.word(vcpu, Ordering::Relaxed);
        (word.state() == State::Running).then(|| word.cpu())
    }

    /// One swap of the state word; what was there before it, or what was found if `next` did not want it.
    fn change(&self, vcpu: usize, mut next: impl FnMut(Word) -> Option<Word>) -> Result<Word, Word> {
        let word = &self.seats[vcpu].0.word;
        let raw = |word| next(Word::from_raw(word)).map(Word::raw);
        // AcqRel: the reason that comes with a note or a wake; what its last owner did.
        word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, raw).map(Word::from_raw).map_err(Word::from_raw)
    }
}

/// Of `sleepers`, of which there is one at least, the one that is best for the queue of CPU number `on`.
const fn choice(sleepers: u64, on: usize) -> usize {
    if sleepers >> on & 1 != 0 { on } else { sleepers.trailing_zeros() as usize }
}
