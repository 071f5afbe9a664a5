//! Cache lines that CPUs write in turns, counted: the part of scaling that does not depend on the machine.
//!
//! Two CPUs take faults in turns, all on one thread, and each write of an atomic or a lock is reported with its address. A write to a line that the other CPU wrote last
//! is one trip of that line. Told apart is what a fault needs from all CPUs' common stock, in batches (the frame pool and the guest's account, known by where they lie), and faults that
//! make a table, one in 512.
//!
//! Needs a build of its own: `RUSTFLAGS="--cfg samewise_lines" cargo test -p mmu-bench --test lines --target-dir target/lines -- --nocapture`.

#![cfg(samewise_lines)]
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use hv_core::mmu::pins::Pins;
use hv_core::mmu::{Discipline, Granule, Seat, StorageFault};
use hv_core::sync::lines::report_to;
use mmu_bench::Bench;
use mmu_bench::baselines::{OneLock, ReadWrite};
use mmu_bench::faults::{Kind, seat, take};
use mmu_bench::guest::{guest, machine};
use ppc64_arch::addr::LeafSize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

/// As on POWER.
const LINE: usize = 128;
/// How far apart disjoint regions are: each has tables of its own below the root's entry.
const APART: u64 = (1 << 30) / LeafSize::Size4K.bytes();
/// Pages of each CPU in a run.
const PAGES: u64 = 1024;
/// Trips of the stock's lines that a run may take: a CPU comes for 512 frames to the pool, and for 512 pages to the account, each time one trip or two; tables take frames as well.
const STOCK: u64 = 2 * 2 * (2 * PAGES + 2 * PAGES / 512).div_ceil(512);

/// Who writes, and who wrote each line last.
#[derive(Default)]
struct Watch {
    cpu: Option<usize>,
    last: HashMap<usize, usize>,
    trips: Vec<usize>,
}

thread_local! {
    static WATCH: RefCell<Watch> = RefCell::default();
}

fn written(at: usize) {
    WATCH.with_borrow_mut(|watch| {
        let Some(cpu) = watch.cpu else { return };
        if watch.last.insert(at / LINE, cpu).is_some_and(|last| last != cpu) {
            watch.trips.push(at);
        }
    });
}

/// Trips of lines, by what lies in them.
#[derive(Debug, Default)]
struct Trips {
    /// Those that made no table.
    faults: usize,
    /// The frame pool and the account, from which a CPU draws 512 pages at a time.
    stock: usize,
    /// Of faults that made a table.
    tables: usize,
    /// Everything else.
    other: usize,
}

impl Trips {
    fn add(&mut self, written: &[usize], made_table: bool, stock: &[Range<usize>]) {
        self.faults += usize::from(!made_table);
        let of_stock = written.iter().filter(|at| stock.iter().any(|extent| extent.contains(at))).count();
        self.stock += of_stock;
        *(if made_table { &mut self.tables } else { &mut self.other }) += written.len() - of_stock;
    }

    fn per_fault(&self) -> f64 {
        self.other as f64 / self.faults as f64
    }
}

fn extent<T>(of: &T) -> Range<usize> {
    let from = std::ptr::from_ref(of).addr();
    from..from + size_of::<T>()
}

/// Faults that come first and are not counted: they make tables.
const WARM: usize = 4;

/// What two CPUs do in turns.
struct Turns {
    kind: Kind,
    pattern: &'static str,
    ranges: [Range<u64>; 2],
    lists: [Vec<StorageFault>; 2],
}

/// Two CPUs take their lists of faults in turns.
fn in_turns<D: Discipline>(turns: &Turns) -> Trips {
    let Turns { kind, ranges, lists, .. } = turns;
    let size = kind.size(2 * APART);
    let memory = machine(size);
    let space = guest::<D>(&memory, size, Granule::Fixed(LeafSize::Size4K));
    let seats = [0, 1].map(|cpu| seat(&space, cpu));
    kind.prepare(&seats[0], ranges);
    report_to(written);
    let stock = [extent(&memory.pool), extent(space.ledger())];
    WATCH.set(Watch::default());
    let mut trips = Trips::default();
    for turn in 0..lists[0].len().min(lists[1].len()) {
        for (cpu, list) in lists.iter().enumerate() {
            let (written, made_table) = watched(cpu, &seats[cpu], &list[turn]);
            if turn >= WARM {
                trips.add(&written, made_table, &stock);
            }
        }
    }
    trips
}

/// One fault: the addresses by which lines came over, and whether it made a table.
fn watched<D: Discipline>(cpu: usize, seat: &Seat<'_, '_, Bench, D>, fault: &StorageFault) -> (Vec<usize>, bool) {
    let tables = || seat.with_cpu(|_, cpu| cpu.stats.tables_made);
    let before = tables();
    WATCH.with_borrow_mut(|watch| watch.cpu = Some(cpu));
    take(seat, std::slice::from_ref(fault));
    let trips = WATCH.with_borrow_mut(|watch| {
        watch.cpu = None;
        std::mem::take(&mut watch.trips)
    });
    (trips, tables() != before)
}

fn disjoint(kind: Kind) -> Turns {
    let ranges = [0, APART].map(|from| from..from + PAGES);
    let lists = ranges.clone().map(|range| kind.faults::<Pins>(range.start, range.end));
    Turns { kind, pattern: "disjoint", ranges, lists }
}

/// Pages of the same tables, by turns.
fn neighbouring(kind: Kind) -> Turns {
    let all = kind.faults::<Pins>(0, 2 * PAGES);
    let lists = [0, 1].map(|cpu| all.iter().copied().skip(cpu).step_by(2).collect());
    Turns { kind, pattern: "neighbouring", ranges: [0..PAGES, PAGES..2 * PAGES], lists }
}

fn report<D: Discipline>(discipline: &str, turns: &Turns) -> Trips {
    let trips = in_turns::<D>(turns);
    let Trips { faults, stock, tables, other } = trips;
    let (pattern, name, each) = (turns.pattern, turns.kind.name(), trips.per_fault());
    println!(
        "lines: {discipline:<10} {pattern:<12} {name:<16} {faults:>5} faults {other:>5} trips ({each:.2} a fault), besides {stock} of the stock, {tables} for tables"
    );
    trips
}

#[test]
fn faults_on_disjoint_pages_write_no_line_that_another_cpu_writes() {
    for kind in Kind::ALL {
        let trips = report::<Pins>("ours", &disjoint(kind));
        assert_eq!(trips.other, 0, "{kind:?}");
        assert!(trips.stock as u64 <= STOCK, "{kind:?}: {trips:?}");
    }
}

#[test]
fn faults_on_neighbouring_pages_share_the_line_of_their_entries_and_no_other() {
    for kind in [Kind::Zero, Kind::Unshare] {
        let trips = report::<Pins>("ours", &neighbouring(kind));
        assert!(trips.other > 0 && trips.other <= trips.faults, "{kind:?}: {trips:?}");
    }
    // The pages that one fault maps have their entries on one line, which it has to itself.
    assert_eq!(report::<Pins>("ours", &neighbouring(Kind::Image)).other, 0);
}

#[test]
fn what_is_counted_is_seen_where_it_is_known_to_be() {
    for kind in Kind::ALL {
        let one = report::<OneLock>("one lock", &disjoint(kind));
        let read_write = report::<ReadWrite>("read-write", &disjoint(kind));
        assert!(one.per_fault() >= 1.0 && read_write.per_fault() >= 1.0, "{one:?} {read_write:?}");
    }
}
