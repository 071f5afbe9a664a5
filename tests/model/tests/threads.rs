//! Real threads: guests that count in their memory while another CPU changes how it is mapped.
//!
//! Each guest CPU has a doubleword of its own in every page, and knows what it holds. A store that is lost, a page that comes back older than it was, a frame that is used by two, or a
//! translation that is used too long makes a count differ.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

#[cfg_attr(feature = "delays", allow(dead_code, reason = "reasons.rs uses the rest"))]
mod guests;

use guests::{GUESTS, Guests, MIB, PAGE};
use hv_core::mmu::{Granule, LogError};
use machine::{Recording, on_cpu};
use ppc64_arch::addr::{GuestReal, LeafSize};
use std::collections::BTreeMap;
use std::thread;

/// Counts of each guest CPU. `SAMEWISE_MODEL_COUNTS` sets another number.
const COUNTS: u64 = 3_000;

/// Changes at least.
const CHANGES: u32 = 300;

fn counts() -> u64 {
    std::env::var("SAMEWISE_MODEL_COUNTS").map_or(COUNTS, |number| number.parse().unwrap())
}

const SMALL: Granule = Granule::Fixed(LeafSize::Size4K);
const LARGE: Granule = Granule::Fixed(LeafSize::Size64K);
const HUGE: Granule = Granule::Fixed(LeafSize::Size2M);

#[test]
fn counts_survive_every_change_of_their_mapping() {
    let hardware = [Recording::AtOnce, Recording::Late, Recording::Software];
    for (index, granule) in [SMALL, LARGE, HUGE, Granule::Auto].into_iter().enumerate() {
        disturb(&Guests::<true>::new(granule, hardware[index % 3], None));
        disturb(&Guests::<false>::new(granule, hardware[(index + 1) % 3], None));
    }
}

#[test]
fn counts_survive_a_budget_of_a_third() {
    for (granule, recording) in [(SMALL, Recording::AtOnce), (HUGE, Recording::Software), (SMALL, Recording::Late)] {
        disturb(&Guests::<true>::new(granule, recording, Some(700)));
        disturb(&Guests::<false>::new(granule, recording, Some(700)));
    }
}

#[test]
fn a_copy_that_follows_the_dirty_log_ends_up_the_same() {
    for (granule, recording) in [(SMALL, Recording::Late), (LARGE, Recording::AtOnce), (HUGE, Recording::Software)] {
        migrate(&Guests::<true>::new(granule, recording, None));
        migrate(&Guests::<false>::new(granule, recording, None));
    }
}

/// Guests count while one CPU does all there is to do to their mapping.
fn disturb<const BROADCAST: bool>(guests: &Guests<BROADCAST>) {
    thread::scope(|scope| {
        let counting: Vec<_> = (0..GUESTS).map(|id| scope.spawn(move || guests.count(id, counts()))).collect();
        on_cpu(GUESTS);
        let mut random = guests::Random::new(77);
        let mut changes = 0;
        while changes < CHANGES || !counting.iter().all(thread::ScopedJoinHandle::is_finished) {
            change(guests, &mut random);
            changes += 1;
        }
    });
    guests.check();
}

fn change<const BROADCAST: bool>(guests: &Guests<BROADCAST>, random: &mut guests::Random) {
    let (at, slot) = (guests.somewhere(random), guests.slot(random));
    let to = at.checked_add(random.below(64) * PAGE).unwrap();
    match random.below(9) {
        0 => guests.mutate(|space, cpu| tried(space.split(cpu, at))),
        1 => guests.mutate(|space, cpu| tried(space.promote(cpu, at))),
        2 => guests.mutate(|space, cpu| tried(space.age(cpu, at, to))),
        3 => guests.mutate(|space, cpu| tried(space.prune(cpu))),
        4 => guests.mutate(|space, cpu| tried(space.page_out(cpu))),
        5 => guests.mutate(|space, cpu| tried(space.start_log(cpu, slot))),
        6 => guests.mutate(|space, cpu| tried(space.stop_log(cpu, slot))),
        7 => guests.mutate(|space, cpu| tried(space.harvest(cpu, slot, |_, _| {}))),
        _ => freeze(guests, slot, at),
    }
}

/// Whether it could be done just then is all the same.
fn tried<T>(_result: T) {}

/// While a slot is read-only, nothing in it changes.
fn freeze<const BROADCAST: bool>(guests: &Guests<BROADCAST>, slot: GuestReal, at: GuestReal) {
    guests.mutate(|space, cpu| space.set_read_only(cpu, slot, true)).unwrap();
    let inside = slot.checked_add(at.raw() % MIB).unwrap();
    let before = guests.read_page(inside);
    guests.mutate(|space, cpu| tried(space.age(cpu, inside, inside.checked_add(PAGE).unwrap())));
    assert!(before == guests.read_page(inside), "{inside} changed while it was read-only");
    guests.mutate(|space, cpu| space.set_read_only(cpu, slot, false)).unwrap();
}

/// Guests count while their pages are copied: all at first, then those that were written.
fn migrate<const BROADCAST: bool>(guests: &Guests<BROADCAST>) {
    let mut copy = BTreeMap::new();
    thread::scope(|scope| {
        let counting: Vec<_> = (0..GUESTS).map(|id| scope.spawn(move || guests.count(id, counts()))).collect();
        on_cpu(GUESTS);
        for slot in guests.slots() {
            guests.mutate(|space, cpu| space.start_log(cpu, slot)).unwrap();
        }
        guests.pages().for_each(|page| drop(copy.insert(page, guests.read_page(page))));
        while !counting.iter().all(thread::ScopedJoinHandle::is_finished) {
            follow(guests, &mut copy).unwrap();
        }
    });
    follow(guests, &mut copy).unwrap();
    for page in guests.pages() {
        assert!(copy[&page] == guests.read_page(page), "a store to {page} is not in the copy");
    }
    guests.check();
}

/// One round: what was written since the last one is copied again.
fn follow<const BROADCAST: bool>(
    guests: &Guests<BROADCAST>,
    copy: &mut BTreeMap<GuestReal, Vec<u8>>,
) -> Result<(), LogError> {
    for slot in guests.slots() {
        let mut dirty = vec![];
        let note = |first: GuestReal, bits: u64| {
            let pages = (0..64).filter(|bit| bits >> bit & 1 != 0);
            dirty.extend(pages.map(|bit| GuestReal::new(first.raw() + bit * PAGE)));
        };
        guests.mutate(|space, cpu| space.harvest(cpu, slot, note))?;
        dirty.into_iter().for_each(|page| drop(copy.insert(page, guests.read_page(page))));
    }
    Ok(())
}
