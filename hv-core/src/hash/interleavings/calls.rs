//! Accesses and their faults against the guest's calls at the same entry or the same group.

use super::machine::CONTENTS;
use super::world::{CLOSED, Ended, NEW, OPEN, OTHER, PAGE, REAL, World, every_order, patiently};
use crate::hash::{Fault, Outcome, Recorded, Refusal};
use crate::mmu::Access;
use crate::sync::relax;
use ppc64_arch::addr::EffAddr;
use ppc64_arch::hash::{PageSize, PaprEntry, Segment, VsidWord, Word0};
use ppc64_arch::trap::Dsisr;

const RECORDED: u64 = 0x180;
/// Another page of guest real memory.
const ELSEWHERE: u64 = 0x3000;

fn entered(world: &World) {
    assert_eq!(world.enter(0, PAGE, OPEN), Ok(0));
}

/// The same, and CPU 0 has been there.
fn loaded(world: &World) {
    entered(world);
    assert_eq!(world.access(0, PAGE, None), Ended::Loaded(CONTENTS[0]));
}

fn remove(world: &World) -> PaprEntry {
    patiently(|| world.table().remove(0, 0, 0)).expect("an entry")
}

fn protect(world: &World) {
    patiently(|| world.table().protect(CLOSED & 3, 0, 0)).expect("an entry");
}

/// Nothing is left, and nothing is found.
fn gone(world: &World) {
    let raw = world.machine().raw(0);
    assert_eq!((raw.word0.bits(), raw.word1.bits()), (0, 0));
    assert_eq!(world.access(0, PAGE, None), Ended::Refused);
}

fn removed(world: &World, access: Ended, was: PaprEntry) {
    // It could be stored to by the entry that was removed, and by no other.
    assert!(access != Ended::Stored || was.word1 & RECORDED == RECORDED, "{was:x?}");
    gone(world);
}

fn protected(world: &World, access: Ended, (): ()) {
    let seen = world.read(0);
    assert_eq!(seen.word1 & 3, 3);
    assert!(access != Ended::Stored || seen.word1 & RECORDED == RECORDED, "{seen:x?}");
    let raw = world.machine().raw(0);
    assert!(!raw.word0.contains(Word0::VALID) || !raw.word1.stores(), "a late store undid it: {raw:x?}");
    assert_eq!(world.access(0, PAGE, Some(NEW)), Ended::Refused);
}

#[test]
fn a_load_of_an_absent_page_and_h_remove() {
    every_order(3, false, entered, |w| w.access(0, PAGE, None), remove, removed);
}

#[test]
fn a_store_to_a_page_that_is_there_and_h_remove() {
    every_order(3, true, loaded, |w| w.access(0, PAGE, Some(NEW)), remove, removed);
}

#[test]
fn a_store_to_an_absent_page_and_h_protect() {
    every_order(3, false, entered, |w| w.access(0, PAGE, Some(NEW)), protect, protected);
}

#[test]
fn a_store_to_a_page_that_is_there_and_h_protect() {
    every_order(3, true, loaded, |w| w.access(0, PAGE, Some(NEW)), protect, protected);
}

#[test]
fn a_store_and_h_clear_mod() {
    every_order(
        3,
        true,
        entered,
        |w| w.access(0, PAGE, Some(NEW)),
        |w| patiently(|| w.table().clear(Recorded::Changed, 0)).expect("an entry"),
        |w, access, was| {
            assert_eq!(access, Ended::Stored);
            // The store is in what was cleared, or it came after.
            assert_eq!((was | w.read(0).word1) & 0x80, 0x80);
        },
    );
}

#[test]
fn a_load_and_another_page_that_takes_the_place() {
    every_order(
        3,
        true,
        loaded,
        |w| w.access(0, PAGE, None),
        |w| {
            remove(w);
            w.enter(1, OTHER, OPEN)
        },
        |w, access, place| {
            assert!(access == Ended::Loaded(CONTENTS[0]) || access == Ended::Refused);
            assert!(place.is_ok());
            assert_eq!(w.access(0, PAGE, None), Ended::Refused);
            assert_eq!(w.access(0, OTHER, None), Ended::Loaded(CONTENTS[0]));
        },
    );
}

#[test]
fn a_load_of_an_absent_page_and_an_entry_that_comes_back_for_another() {
    every_order(
        3,
        false,
        entered,
        |w| w.access(0, PAGE, Some(NEW)),
        |w| {
            let was = remove(w);
            // Elsewhere, if the fault has this place locked just then.
            (was, w.enter(1, PAGE, CLOSED | ELSEWHERE).expect("a free place"))
        },
        |w, access, (was, index)| {
            assert!(access != Ended::Stored || was.word1 & RECORDED == RECORDED, "stored by an entry that forbids it");
            let raw = w.machine().raw(index as usize);
            let right = raw.word1.bits() & 0xf000 == ELSEWHERE;
            assert!(!raw.word0.contains(Word0::VALID) || right, "the new entry shows the page of the old one");
            assert_eq!(w.access(0, PAGE, Some(NEW)), Ended::Refused);
        },
    );
}

/// A page in a segment whose field B is 0, as it is where nothing stands: so is PP there, and with key 1 that forbids everything.
const SMALL: VsidWord =
    VsidWord::new(VsidWord::of(Segment::Size256M, PAGE, PageSize::Size4K).raw() | VsidWord::SUPERVISOR_KEY);

fn enter_small(world: &World, cpu: usize) -> Result<u64, Refusal> {
    let at = SMALL.translate(EffAddr::new(0)).expect("68 bits");
    let claim = PaprEntry { word0: Word0::naming(at).bits() | 1, word1: OPEN };
    patiently(|| world.table().enter(&world.cpu(cpu), 0, 0, claim))
}

#[test]
fn an_entry_that_goes_and_comes_back_and_a_fault() {
    // The calls come first: loom does not look for orders in which a load of another CPU comes before a compare-and-swap whose own CPU has loaded there since, as taking the lock does.
    every_order(
        3,
        true,
        |w| assert_eq!(enter_small(w, 1), Ok(0)),
        |w| {
            remove(w);
            enter_small(w, 0).map(drop)
        },
        |w| {
            let (ea, access) = (EffAddr::new(0), Access::Read);
            let fault = Fault { ea, asdr: SMALL, access, problem_state: false, amr: 0, iamr: 0 };
            w.table().fault(&w.cpu(1), &fault)
        },
        |_, entered, outcome| {
            assert_eq!(entered, Ok(()));
            // It is there, or it is not there: at no time it forbids anything.
            let gone = Outcome::Reflect(Dsisr::NO_TRANSLATION);
            assert!([Outcome::Resume, Outcome::Busy, gone].contains(&outcome), "{outcome:?}");
        },
    );
}

#[test]
fn two_entries_for_one_group_do_not_share_a_place() {
    every_order(
        3,
        true,
        |_| {},
        |w| w.enter(0, PAGE, OPEN),
        |w| w.enter(1, OTHER, OPEN),
        |w, mine, other| {
            let (Ok(mine), Ok(other)) = (mine, other) else { panic!("{mine:?} {other:?}") };
            assert_ne!(mine, other);
            assert_eq!(w.read(mine).word0 & 1, 1);
            assert_eq!(w.enter(0, PAGE, OPEN), Err(Refusal::GroupFull));
            for page in [PAGE, OTHER] {
                assert_eq!(w.access(0, page, None), Ended::Loaded(CONTENTS[0]));
            }
            w.page_out();
            assert!([0, 1].into_iter().all(|index| !w.machine().raw(index).word0.contains(Word0::VALID)));
        },
    );
}

#[test]
fn two_faults_on_an_absent_page() {
    every_order(
        3,
        false,
        entered,
        |w| resolved(w, 0),
        |w| resolved(w, 1),
        |w, (), ()| {
            assert!(w.machine().raw(0).word0.contains(Word0::VALID));
        },
    );
}

#[test]
fn two_faults_in_real_mode_make_one_entry() {
    every_order(
        3,
        true,
        |_| {},
        |w| w.access(0, REAL, None),
        |w| w.access(1, REAL, None),
        |w, mine, other| {
            assert_eq!((mine, other), (Ended::Loaded(CONTENTS[0]), Ended::Loaded(CONTENTS[0])));
            let many = (0..2).filter(|index| w.read(*index).word0 & 1 != 0).count();
            assert_eq!(many, 1);
        },
    );
}

/// A fault that was resolved, whoever did it.
fn resolved(world: &World, cpu: usize) {
    while world.fault(cpu, PAGE, Access::Read) == Outcome::Busy {
        relax();
    }
}
