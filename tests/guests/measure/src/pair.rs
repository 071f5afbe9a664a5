//! What two vCPUs come to at once, beside what one comes to alone: null hypervisor calls, and first touches of pages, each its own.
//!
//! Each figure is the median of several rounds. The vCPUs of a round begin at a timebase that the first one named, and its ticks are those from
//! there until the last of them has done its part. What was touched is given back after each round (`samewise.bench=on`); where that is not offered
//! each round takes memory further down.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::console::say;
use crate::hcall::{self, SUCCESS};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::smp;
use crate::timing::now;
use crate::trap;

/// Rounds of which the median counts.
const ROUNDS: usize = 5;
/// The least time of a round: a part of a second.
const PART: u64 = 8;
/// Takes away a block, and its pages with it.
const UNMAP: u64 = 0xf203;
/// Time until a round begins, in timebase ticks: enough for the other vCPU to see it.
const AHEAD: u64 = 500_000;
/// Calls of the first guess.
const GUESS: u64 = 20_000;

unsafe extern "C" {
    fn started();
    fn loop_call(with: u64, times: u64, number: u64, argument: u64) -> u64;
    fn loop_store(with: u64, times: u64, address: u64, step: u64) -> u64;
}

/// What the second vCPU is to do, and where it is with it.
struct Order {
    /// Goes up with each; the rest is read after it.
    number: AtomicU64,
    kind: AtomicU64,
    count: AtomicU64,
    from: AtomicU64,
    begins: AtomicU64,
    /// The number of the last order that is done, and the timebase then.
    done: AtomicU64,
    ended: AtomicU64,
}

static ORDER: Order = Order {
    number: AtomicU64::new(0),
    kind: AtomicU64::new(0),
    count: AtomicU64::new(0),
    from: AtomicU64::new(0),
    begins: AtomicU64::new(0),
    done: AtomicU64::new(0),
    ended: AtomicU64::new(0),
};

/// What a round consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Touch,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Touch => "touch",
        }
    }
}

/// One vCPU's part of a round, from a moment on: the timebase at its end. The null call looks at the vCPU's own interrupts: to confer would give the
/// time away.
fn work(kind: Kind, count: u64, from: u64, begins: u64) -> u64 {
    trap::no_decrementer();
    while now() < begins {}
    // SAFETY: 1. The call leaves memory alone. 2. The pages are free memory, this vCPU's alone in this round.
    unsafe {
        match kind {
            Kind::Null => loop_call(1, count, hcall::IPOLL, trap::server()),
            Kind::Touch => loop_store(1, count, from, PAGE),
        }
    };
    now()
}

/// What the second vCPU does: one order after the other.
pub fn second() -> ! {
    let mut number = 0;
    loop {
        let next = ORDER.number.load(Ordering::Acquire);
        if next == number {
            continue;
        }
        number = next;
        let [kind, count, from, begins] =
            [&ORDER.kind, &ORDER.count, &ORDER.from, &ORDER.begins].map(|part| part.load(Ordering::Relaxed));
        let kind = if kind == Kind::Null as u64 { Kind::Null } else { Kind::Touch };
        ORDER.ended.store(work(kind, count, from, begins), Ordering::Relaxed);
        ORDER.done.store(number, Ordering::Release);
    }
}

/// Memory for both: blocks for one round each, and whether they come back.
struct Field {
    from: u64,
    pages: u64,
    comes_back: bool,
    taken: u64,
}

/// Measures both kinds, by one and by two.
pub fn measure(machine: &Machine) {
    let Some(&server) = machine.servers().get(1) else { return say!("measure: skip smp: one vCPU") };
    if smp::start(machine, server, started as *const () as u64, 1) != 0 {
        return say!("measure: FAIL the second vCPU was not started");
    }
    let calls = enough_calls(machine);
    compare(Kind::Null, calls, |_| 0);
    let Some(mut field) = Field::find(machine) else { return say!("measure: skip smp touch: no free memory") };
    let pages = field.pages;
    compare(Kind::Touch, pages, |vcpus| field.next(vcpus));
}

/// So many that they take their part of a second.
fn enough_calls(machine: &Machine) -> u64 {
    let start = now();
    let ticks = (work(Kind::Null, GUESS, 0, start) - start).max(1);
    (machine.timebase / PART) * GUESS / ticks
}

/// Prints the medians. `place` says where the next round of so many vCPUs has its memory.
fn compare(kind: Kind, count: u64, mut place: impl FnMut(u64) -> u64) {
    for (vcpus, name) in [(1, "one"), (2, "two")] {
        let mut ticks = [0; ROUNDS];
        ticks.fill_with(|| round(kind, vcpus, count, place(vcpus)));
        ticks.sort_unstable();
        say!("smp {} {name} {} ticks {}", kind.name(), vcpus * count, ticks[ROUNDS / 2]);
    }
}

/// One round: its ticks.
fn round(kind: Kind, vcpus: u64, count: u64, from: u64) -> u64 {
    let begins = now() + AHEAD;
    if vcpus == 1 {
        return work(kind, count, from, begins) - begins;
    }
    let number = ORDER.number.load(Ordering::Relaxed) + 1;
    let order = [(&ORDER.kind, kind as u64), (&ORDER.count, count), (&ORDER.begins, begins)];
    order.iter().for_each(|(place, value)| place.store(*value, Ordering::Relaxed));
    ORDER.from.store(from + count * PAGE, Ordering::Relaxed);
    ORDER.number.store(number, Ordering::Release);
    let ended = work(kind, count, from, begins);
    while ORDER.done.load(Ordering::Acquire) != number {}
    ended.max(ORDER.ended.load(Ordering::Relaxed)) - begins
}

impl Field {
    /// The free memory in the upper part of memory. If it can be given back, a round of two has all of it; else each has its own piece.
    fn find(machine: &Machine) -> Option<Self> {
        let all = machine.end.checked_sub(memory::image_end() + (64 << 20))? / PAGE;
        let largest =
            core::iter::successors(Some(all), |pages| Some(pages - pages / 16)).take_while(|&pages| pages > 256);
        let free = |pages: &u64| {
            (1..64)
                .map(|nth| machine.end - nth * PAGE * 64 - pages * PAGE)
                .find(|&from| machine.is_free(from, pages * PAGE))
        };
        let (from, pages) = largest.filter_map(|pages| Some((free(&pages)?, pages))).next()?;
        let comes_back = hcall::call(UNMAP, &[from, pages * PAGE]).code == SUCCESS;
        let parts = if comes_back { 2 } else { 3 * ROUNDS as u64 };
        Some(Self { from, pages: pages / parts, comes_back, taken: 0 })
    }

    /// Where a round of so many vCPUs has its pages, none of which is there.
    fn next(&mut self, vcpus: u64) -> u64 {
        if self.comes_back {
            let code = hcall::call(UNMAP, &[self.from, 2 * self.pages * PAGE]).code;
            if code != SUCCESS {
                say!("measure: FAIL unmap answered {code}");
            }
            return self.from;
        }
        self.taken += vcpus;
        self.from + (self.taken - vcpus) * self.pages * PAGE
    }
}
