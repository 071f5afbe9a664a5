//! What vCPUs share: processor time, and memory that nobody has touched yet.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::crew;
use crate::machine::{MOST, Machine};
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, fail};
use crate::smp::{self, Barrier};
use crate::trap;

pub const CASES: &[Case] = &[
    Case::new("all vCPUs spin, and each has its share", time),
    Case::new("all vCPUs touch the same pages of 4 KiB", |machine| touch(machine, 0)),
    Case::new("all vCPUs touch the same pages of 64 KiB", |machine| touch(machine, 1)),
    Case::new("all vCPUs touch the same pages of 2 MiB", |machine| touch(machine, 2)),
];

/// Turns of each one's loop.
static TURNS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
static ENOUGH: AtomicBool = AtomicBool::new(false);

/// Turns without an end, without a call, and with interrupts off.
fn spin(_: &Machine, vcpu: usize) {
    while !ENOUGH.load(Ordering::Relaxed) {
        TURNS[vcpu].fetch_add(1, Ordering::Relaxed);
    }
}

/// Everybody counts turns for a second: two thirds of an even share are due to each where all share one CPU (`one-cpu` on the command line), and
/// a twentieth elsewhere, where the machine below shares as it likes.
fn time(machine: &Machine) -> Verdict {
    let vcpus = machine.servers().len();
    TURNS.iter().for_each(|turns| turns.store(0, Ordering::Relaxed));
    ENOUGH.store(false, Ordering::Relaxed);
    let count = |vcpu: usize| TURNS[vcpu].load(Ordering::Relaxed);
    crew::with_others(machine, spin, || {
        let all = smp::wait_for(|| (1..vcpus).all(|vcpu| count(vcpu) > 0));
        let before: [u64; MOST] = core::array::from_fn(count);
        let start = trap::now();
        while trap::now() - start < machine.timebase {
            TURNS[0].fetch_add(1, Ordering::Relaxed);
        }
        let turns: [u64; MOST] = core::array::from_fn(|vcpu| count(vcpu) - before[vcpu]);
        ENOUGH.store(true, Ordering::Relaxed);
        if !all {
            fail!("not all have begun");
        }
        let due = if machine.has_word("one-cpu") { (2, 3) } else { (1, 20) };
        let sum: u64 = turns.iter().sum();
        match turns[1..vcpus].iter().find(|&&turns| turns * due.1 * vcpus as u64 <= sum * due.0) {
            Some(least) => fail!("{least} of {sum} turns of {vcpus}: {:?}", &turns[..vcpus]),
            None => Ok(()),
        }
    })
}

/// Bytes from one page to the next; how many; how many between two meetings. All of them fit into the upper half of 512 MiB.
const KINDS: [(u64, u64, u64); 3] = [(PAGE, 2048, 8), (64 << 10, 512, 4), (2 << 20, 64, 1)];
static KIND: AtomicU64 = AtomicU64::new(0);
static MEETING: Barrier = Barrier::new();

/// The nth kind's pages, where nobody wrote before: each kind has a part of memory of its own.
fn pages(machine: &Machine, kind: usize) -> impl Iterator<Item = u64> + use<'_> {
    let (size, pages, _) = KINDS[kind];
    let from = [machine.end / 2, machine.end / 2 + (16 << 20), machine.end / 2 + (64 << 20)][kind];
    let start = from.next_multiple_of(2 << 20) + (2 << 20);
    (0..pages).map(move |n| start + n * size).filter(|&page| machine.is_free(page, PAGE))
}

/// Each stores into each page, all as near together as can be: no store is lost, and none is seen elsewhere.
fn touch(machine: &Machine, kind: usize) -> Verdict {
    KIND.store(kind as u64, Ordering::Release);
    crew::with_others(machine, store_to_all, || {
        store_to_all(machine, 0);
        Ok(())
    })?;
    for page in pages(machine, kind) {
        for vcpu in 0..machine.servers().len() {
            let found = memory::read(place(page, vcpu));
            if found != page ^ vcpu as u64 {
                fail!("the store of vCPU {vcpu} to {page:#x} is {found:#x}");
            }
        }
    }
    match pages(machine, kind).count() {
        0..32 => fail!("fewer than 32 pages"),
        _ => Ok(()),
    }
}

fn store_to_all(machine: &Machine, vcpu: usize) {
    let kind = usize::try_from(KIND.load(Ordering::Acquire)).unwrap_or(0);
    for (n, page) in (0..).zip(pages(machine, kind)) {
        if n % KINDS[kind].2 == 0 {
            MEETING.wait(machine.servers().len());
        }
        memory::write(place(page, vcpu), page ^ vcpu as u64);
    }
}

/// Beside the others' places in the page, one behind the other.
const fn place(page: u64, vcpu: usize) -> u64 {
    page + 0x100 + 8 * vcpu as u64
}
