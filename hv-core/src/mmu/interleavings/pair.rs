//! How a racer and a mutation are run against each other, and what has to hold afterwards whichever they are.
//!
//! ```text
//!   CPU 0                        CPU 1
//!   ─────                        ─────
//!   scene; ready; CPU 1 has cached the page
//!   mutation                     is it over?
//!   use freed frames again       one access
//!   it is over
//!   books; contents; what the mutation promises; everything freed, once
//! ```
//!
//! The racer asks whether the mutation has returned before it begins. If it has, what the mutation promises has to hold for this very access; if not, either answer will do.

use super::account::Seat;
use super::guest::{Outcome, contents, read};
use super::harness::Run;
use super::prepare::{reuse_what_was_freed, warm};
use super::scene::{NEW, Racer, Scene};
use super::world::Setup;

/// The racer's CPU; CPU 0 mutates.
pub const RACER: usize = 1;

/// What becomes of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It says what it said.
    Kept,
    /// It goes back to its source.
    Source,
    /// It is in no slot any more.
    Gone,
}

/// Which accesses are the guest's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// None.
    Never,
    /// All once the mutation has returned, none before it began.
    Then,
    /// The same for stores alone.
    StoresThen,
    /// All before the mutation began, none once it has returned.
    Until,
    /// The same for stores alone.
    StoresUntil,
}

/// What the racer did.
#[derive(Clone, Copy, Debug)]
pub struct Raced {
    /// Its access.
    pub racer: Racer,
    /// How that ended.
    pub outcome: Outcome,
    /// It began when the mutation had returned.
    pub late: bool,
}

/// A mutation, and what may be said once it and the racer have ended.
#[derive(Clone, Copy)]
pub struct Mutation {
    /// What is different about the guest.
    pub setup: fn(Setup) -> Setup,
    /// What has to be before it, after the scene is made.
    pub ready: fn(&Seat, Scene),
    /// The mutation. What it returns is for `check`.
    pub act: fn(&Seat, Scene) -> u64,
    /// What becomes of the page, and of its neighbour.
    pub after: (After, After),
    /// Which accesses are refused.
    pub refused: Refused,
    /// What holds before anybody looks at the pages again, which counts as use.
    pub unseen: fn(&Seat, Scene, Raced, u64),
    /// What else holds.
    pub check: fn(&Seat, Scene, Raced, u64),
}

/// A mutation that does nothing and changes nothing.
pub const NOTHING: Mutation = Mutation {
    setup: |setup| setup,
    ready: |_, _| {},
    act: |_, _| 0,
    after: (After::Kept, After::Kept),
    refused: Refused::Never,
    unseen: |_, _, _, _| {},
    check: |_, _, _, _| {},
};

/// Every order of `racer` against `mutation` with at most so many involuntary switches.
pub fn pair(preemptions: usize, scene: Scene, racer: Racer, mutation: Mutation) {
    meet(preemptions, scene, [racer], mutation);
}

/// The same with a third CPU, which is at the neighbour.
pub fn trio(preemptions: usize, scene: Scene, racer: Racer, beside: Racer, mutation: Mutation) {
    meet(preemptions, scene, [racer, beside], mutation);
}

fn meet<const RACERS: usize>(preemptions: usize, scene: Scene, racers: [Racer; RACERS], mutation: Mutation) {
    let place = move |index| if index == 0 { scene.page() } else { scene.beside() };
    Run {
        setup: (mutation.setup)(scene.setup()),
        preemptions,
        before: move |seat: &Seat| {
            scene.before(seat);
            (mutation.ready)(seat, scene);
            (0..RACERS).for_each(|index| warm(seat, RACER + index, place(index)));
        },
        first: move |seat: &Seat| {
            let witness = (mutation.act)(seat, scene);
            if mutation.after != (After::Kept, After::Kept) {
                reuse_what_was_freed(seat);
            }
            seat.space().memory().hardware.say_that_it_is_over();
            witness
        },
        second: move |seat: &Seat| {
            let late = seat.space().memory().hardware.is_over();
            let index = seat.with_cpu(|_, cpu| cpu.id()) - RACER;
            Raced { racer: racers[index], outcome: racers[index].run(seat, place(index)), late }
        },
        check: move |seat: &Seat, witness, raced: [Raced; RACERS]| {
            raced.iter().for_each(|raced| check_refusal(*raced, mutation.refused));
            (mutation.unseen)(seat, scene, raced[0], witness);
            let (old, source, after) = (scene.old(), scene.source(), mutation.after);
            check_contents(seat, scene.page(), raced.first(), (old.0, source.0), after.0);
            check_contents(seat, scene.beside(), raced.get(1), (old.1, source.1), after.1);
            (mutation.check)(seat, scene, raced[0], witness);
        },
    }
    .every_order();
}

fn check_refusal(raced: Raced, refused: Refused) {
    let stores = matches!(raced.racer, Racer::Store | Racer::Write);
    let was_refused = raced.outcome == Outcome::Refused;
    let (may, must) = match refused {
        Refused::Never => (false, false),
        Refused::Then => (true, raced.late),
        Refused::StoresThen => (stores, stores && raced.late),
        Refused::Until => (!raced.late, false),
        Refused::StoresUntil => (stores && !raced.late, false),
    };
    assert!(may || !was_refused, "{raced:?} was refused");
    assert!(was_refused || !must, "{raced:?} was not refused");
}

/// What the racer at a page saw, if there was one, and what stands there in the end.
fn check_contents(seat: &Seat, page: u64, raced: Option<&Raced>, (old, source): (u64, u64), after: After) {
    let late = raced.is_some_and(|raced| raced.late);
    let outcome = raced.map(|raced| raced.outcome);
    if let Some(Outcome::Loaded(value)) = outcome {
        let fresh = after == After::Source && value == source;
        let stale = after == After::Source && late;
        assert!(fresh || value == old && !stale, "{raced:?} at {page:#x}");
    }
    let left = match after {
        After::Kept => Outcome::Loaded(old),
        After::Source => Outcome::Loaded(source),
        After::Gone => Outcome::Refused,
    };
    let now = read(seat, page);
    match outcome {
        Some(Outcome::Stored(_)) if after == After::Kept || late => assert_eq!(now, Outcome::Loaded(NEW), "{raced:?}"),
        Some(Outcome::Stored(_)) => assert!(now == Outcome::Loaded(NEW) || now == left, "{raced:?}, {now:?}"),
        _ => assert_eq!(now, left, "{raced:?} at {page:#x}"),
    }
}

/// What the page says, if there is one.
pub fn page(seat: &Seat, scene: Scene) -> u64 {
    contents(seat, scene.page())
}

/// One module a mutation, one test a pair: what the racer does, the preemption bound, the scene, the racer.
macro_rules! pairs {
    ($($module:ident: $mutation:ident { $($name:ident: $bound:literal, $scene:ident, $racer:ident;)* })*) => {
        $(mod $module {
            use super::*;
            use crate::mmu::interleavings::{pair::pair, scene::{Racer, Scene}};
            $(#[test] fn $name() { pair($bound, Scene::$scene, Racer::$racer, $mutation); })*
        })*
    };
}
pub(super) use pairs;
