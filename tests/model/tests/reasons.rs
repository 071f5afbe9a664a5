//! Guests that count while their memory is disturbed from several sides, in a build whose protocols are delayed now and then (`--features delays`): every reason to look again comes up.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]
#![cfg(feature = "delays")]

#[allow(dead_code, reason = "threads.rs uses the rest")]
mod guests;

use guests::{GUESTS, Guests};
use hv_core::mmu::stats::{Reason, Stats};
use hv_core::mmu::{Access, Disturber, Granule};
use machine::{Recording, on_cpu};
use ppc64_arch::addr::LeafSize;
use std::sync::atomic::AtomicU64;
use std::thread;

const COUNTS: u64 = 3_000;
/// How often two CPUs meet at each group of the image's pages.
const MEETINGS: u32 = 20;

fn run<const BROADCAST: bool>(granule: Granule, recording: Recording, budget: Option<u64>) -> Stats {
    let guests = &Guests::<BROADCAST>::new(granule, recording, budget);
    // Blocks with holes are not promoted.
    guests.pages().for_each(|page| drop(guests.read_page(page)));
    // A store to a huge leaf of the image has to split it before it can copy.
    guests.mutate(|space, cpu| space.start_log(cpu, guests.slots()[1])).unwrap();
    thread::scope(|scope| {
        let counting: Vec<_> = (0..GUESTS).map(|id| scope.spawn(move || guests.count(id, COUNTS))).collect();
        on_cpu(GUESTS);
        let mut disturber = Disturber::new(0);
        while !counting.iter().all(thread::ScopedJoinHandle::is_finished) {
            guests.seated(|seat| disturber.turn(seat));
        }
    });
    let stats = guests.counted();
    guests.check();
    stats
}

/// Two CPUs touch every page of the image at the same moment, one loads and one stores: whoever stores finds that the other one was faster, and that
/// what it left is not enough.
fn meet() -> Stats {
    let guests = &Guests::<true>::new(Granule::Fixed(LeafSize::Size4K), Recording::AtOnce, None);
    let (image, together) = (guests.slots()[1], &AtomicU64::new(0));
    thread::scope(|scope| {
        for (id, access) in [Access::Read, Access::Write].into_iter().enumerate() {
            scope.spawn(move || guests.touch(id, access, image, together));
        }
    });
    let stats = guests.counted();
    guests.check();
    stats
}

#[test]
fn every_reason_to_look_again_comes_up() {
    let (small, huge) = (Granule::Fixed(LeafSize::Size4K), Granule::Fixed(LeafSize::Size2M));
    let mut sum = Stats::default();
    sum.merge(&run::<true>(small, Recording::Late, Some(700)));
    sum.merge(&run::<false>(small, Recording::Software, None));
    sum.merge(&run::<true>(huge, Recording::Late, None));
    sum.merge(&run::<false>(huge, Recording::Software, Some(700)));
    sum.merge(&run::<true>(Granule::Auto, Recording::AtOnce, None));
    for _ in 0..MEETINGS {
        sum.merge(&meet());
    }
    let seen = [Reason::SlotBusy, Reason::NotSame, Reason::Serialised, Reason::Split, Reason::GaveWay];
    let missing = seen.into_iter().filter(|reason| sum.retries(*reason) == 0).collect::<Vec<_>>();
    assert!(missing.is_empty(), "{missing:?} did not come up");
    // None of those that occur: a grace period is over before a table is detached, so nobody is in one that is.
    assert_eq!(sum.retries(Reason::Detached), 0);
    println!("{sum:?}");
    assert!(sum.toggled > 0 && sum.splits > 0 && sum.promotions > 0 && sum.locks > 0);
}
