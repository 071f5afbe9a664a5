//! Faults per second with several threads.
//!
//! A sample is a fresh guest whose tables are there already, one page of each touched; then every thread takes faults on the rest of its pages, all beginning at once. So what
//! is timed is nothing but faults that make one page each.
//!
//! Samples of ours, of the baselines and of a loop that only computes take turns, so that a machine that gets slower or busier does so for all of them; the loop tells
//! how far this machine scales at all.

use crate::baselines::{OneLock, ReadWrite};
use crate::faults::{Kind, fault, seat, take_waiting};
use crate::guest::{guest, machine_of};
use crate::hardware::{Bench, Frames};
use hv_core::mmu::pins::Pins;
use hv_core::mmu::{Access, Discipline, Granule, Space};
use ppc64_arch::addr::LeafSize;
use serde::Serialize;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const PAGE: u64 = LeafSize::Size4K.bytes();
/// Pages of one table.
const TABLE: u64 = 512;

/// Which pages the threads fault on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pattern {
    /// Each thread on a region of its own.
    Disjoint,
    /// The threads in turns on the pages of the same tables.
    Neighbouring,
    /// All on the same pages.
    Same,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Disjoint, Self::Neighbouring, Self::Same];

    /// The pages of thread `id` of `threads`, `many` in all for each, from the last one down: so no page is made ahead.
    fn pages(self, id: u64, threads: u64, many: u64) -> impl Iterator<Item = u64> {
        let (first, step) = match self {
            Self::Disjoint => (id * many, 1),
            Self::Neighbouring => (id, threads),
            Self::Same => (0, 1),
        };
        // The first page of each table was touched beforehand.
        (0..many).rev().map(move |index| first + index * step).filter(|page| !page.is_multiple_of(TABLE))
    }

    /// Pages that a guest needs for it.
    const fn span(self, threads: u64, many: u64) -> u64 {
        match self {
            Self::Disjoint | Self::Neighbouring => threads * many,
            Self::Same => many,
        }
    }
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Our pins.
    Ours,
    /// One lock.
    OneLock,
    /// A read-write lock.
    ReadWrite,
    /// No fault at all: a loop that computes.
    Loop,
}

impl Subject {
    /// All of them, in the order in which they take turns.
    pub const ALL: [Self; 4] = [Self::Loop, Self::Ours, Self::OneLock, Self::ReadWrite];

    /// Faults (or turns of the loop) per second with `threads` threads, `many` pages for each.
    #[must_use]
    pub fn sample(self, pattern: Pattern, threads: u64, many: u64) -> f64 {
        match self {
            Self::Ours => faults::<Pins>(pattern, threads, many),
            Self::OneLock => faults::<OneLock>(pattern, threads, many),
            Self::ReadWrite => faults::<ReadWrite>(pattern, threads, many),
            Self::Loop => rate(threads, many, |_| compute(many)),
        }
    }
}

fn faults<D: Discipline>(pattern: Pattern, threads: u64, many: u64) -> f64 {
    let pages = pattern.span(threads, many);
    let size = Kind::Zero.size(pages);
    let memory = machine_of(Frames::Once, size);
    memory.hardware.touch_marks();
    let space = guest::<D>(&memory, size, Granule::Fixed(LeafSize::Size4K));
    let tables = seat(&space, 0);
    for table in (0..pages).step_by(TABLE as usize) {
        take_waiting(&tables, &fault(table * PAGE, Access::Write));
    }
    let _cpu = tables.leave();
    rate(threads, many, |id| take_all(&space, id, pattern.pages(id, threads, many)))
}

fn take_all<D: Discipline>(space: &Space<'_, Bench, D>, id: u64, pages: impl Iterator<Item = u64>) {
    let seat = seat(space, id as usize);
    for page in pages {
        take_waiting(&seat, &fault(page * PAGE, Access::Write));
    }
}

/// Work of about as many cycles as that many faults, which touches no memory.
fn compute(many: u64) {
    let mut value = many;
    for _ in 0..many * 64 {
        value = black_box(value.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7));
    }
}

/// Runs `work` on that many threads at once: how much of it per second, `many` for each.
fn rate(threads: u64, many: u64, work: impl Fn(u64) + Sync) -> f64 {
    let barrier = Barrier::new(threads as usize);
    let timed = |id| {
        barrier.wait();
        let start = Instant::now();
        work(id);
        (start, Instant::now())
    };
    let times: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let timed = &timed;
        let running: Vec<_> = (0..threads).map(|id| scope.spawn(move || timed(id))).collect();
        running.into_iter().map(|thread| thread.join().expect("a thread that measures does not panic")).collect()
    });
    let start = times.iter().map(|time| time.0).min();
    let end = times.iter().map(|time| time.1).max();
    let took = start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start);
    (threads * many) as f64 / took.as_secs_f64()
}

/// The samples of one subject.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// On which pages.
    pub pattern: Pattern,
    /// What.
    pub subject: Subject,
    /// With how many threads.
    pub threads: u64,
    /// Faults per second, one figure a round.
    pub rates: Vec<f64>,
}

/// Takes samples of everything in turns, `rounds` times.
#[must_use]
pub fn measure(pattern: Pattern, threads: &[u64], many: u64, rounds: usize) -> Vec<Series> {
    let plan = || Subject::ALL.into_iter().flat_map(|subject| threads.iter().map(move |threads| (subject, *threads)));
    let mut series: Vec<Series> =
        plan().map(|(subject, threads)| Series { pattern, subject, threads, rates: Vec::new() }).collect();
    for _ in 0..rounds {
        for (one, (subject, threads)) in series.iter_mut().zip(plan()) {
            one.rates.push(subject.sample(pattern, threads, many));
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn of(pattern: Pattern, id: u64) -> BTreeSet<u64> {
        pattern.pages(id, 2, 2048).collect()
    }

    #[test]
    fn threads_meet_only_where_they_should() {
        for pattern in [Pattern::Disjoint, Pattern::Neighbouring] {
            assert!(of(pattern, 0).is_disjoint(&of(pattern, 1)));
        }
        assert_eq!(of(Pattern::Same, 0), of(Pattern::Same, 1));
    }

    #[test]
    fn neighbours_share_every_table_and_disjoint_regions_none() {
        let tables = |pattern, id| of(pattern, id).iter().map(|page| page / TABLE).collect::<BTreeSet<_>>();
        assert_eq!(tables(Pattern::Neighbouring, 0), tables(Pattern::Neighbouring, 1));
        assert!(tables(Pattern::Disjoint, 0).is_disjoint(&tables(Pattern::Disjoint, 1)));
    }

    #[test]
    fn a_sample_of_each_subject_is_a_rate() {
        for subject in Subject::ALL {
            assert!(subject.sample(Pattern::Disjoint, 2, 1024).is_normal());
        }
    }
}
