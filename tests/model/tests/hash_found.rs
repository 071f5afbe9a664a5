//! Sequences of a hash guest's calls that once failed, as short as they became.

use model::hash::model::{H_ENTER, H_REGISTER_PROC_TBL, H_RESIZE_HPT_COMMIT, H_RESIZE_HPT_PREPARE};
use model::hash::op::{Argument, Wish};
use model::hash::pte::{BOLTED, GROUP, Pte, VALID};
use model::hash::{Op, run};

/// This place, or none.
const EXACT: u64 = 1 << 39;

fn call<const N: usize>(number: u64, args: [u64; N]) -> Op {
    let args = core::array::from_fn(|n| Argument::Number(args.get(n).copied().unwrap_or(0)));
    Op::Call { number, problem_state: false, args }
}

/// The guest goes over to a table of `1 << shift` bytes.
fn exchange(shift: u64) -> [Op; 3] {
    let prepare = call(H_RESIZE_HPT_PREPARE, [0, shift]);
    [prepare, prepare, call(H_RESIZE_HPT_COMMIT, [0, shift])]
}

/// A bolted entry for a page: those of 0 and 1 have one group in the smallest table alone.
fn bolt(page: usize, slot: u64) -> Op {
    let wish =
        Wish { page, sizes: 0, large_segment: false, secondary: false, bolted: true, slot, real: 0, word1: 0x12 };
    Op::Enter { flags: EXACT, wish }
}

#[test]
fn what_is_bolted_keeps_its_place() {
    for slot in 0..GROUP {
        let tally = run([bolt(0, slot)].into_iter().chain(exchange(19)).chain(exchange(18)));
        assert_eq!((tally.exchanged, tally.moved), (2, 2), "slot {slot}");
    }
}

#[test]
fn a_table_in_which_two_would_have_one_place_is_refused() {
    for (slot, crowded) in [(3, 1), (4, 0)] {
        let ops = exchange(19).into_iter().chain([bolt(0, 3), bolt(1, slot)]).chain(exchange(18));
        let tally = run(ops);
        assert_eq!((tally.entered, tally.crowded, tally.exchanged), (2, crowded, 2 - crowded), "slot {slot}");
    }
}

#[test]
fn an_entry_of_real_mode_gives_way() {
    // Two pages, so that the other entry comes before it in the table, and behind it.
    for at in [0x3000, 0x80_3000] {
        let real_mode = Pte { word0: 0x4001_ffff_ff00_0000, word1: 0 };
        let place = real_mode.group(0x01ff_ffff << 40 | at, 19);
        // The same group in the smallest table.
        let other = place ^ (GROUP << 11);
        let enter = call(H_ENTER, [EXACT, other, BOLTED | VALID, 0x12]);
        let real = Op::Real { at: at as u64, store: true };
        let ops = exchange(19).into_iter().chain([real, enter]).chain(exchange(18)).chain([real]);
        let tally = run(ops);
        assert_eq!((tally.exchanged, tally.moved, tally.reached), (2, 1, 2), "{at:#x}");
    }
}

#[test]
fn what_is_asked_for_in_vain_gives_up_the_table_that_was_being_made() {
    for [flags, shift] in [[1, 19], [0, 17], [0, 47], [u64::MAX, 0]] {
        let prepare = call(H_RESIZE_HPT_PREPARE, [0, 19]);
        let commit = call(H_RESIZE_HPT_COMMIT, [0, 19]);
        let tally = run([prepare, call(H_RESIZE_HPT_PREPARE, [flags, shift]), commit]);
        assert_eq!(tally.exchanged, 0, "{flags:#x} {shift}");
    }
}

#[test]
fn a_commit_with_flags_finds_no_such_table() {
    let prepare = call(H_RESIZE_HPT_PREPARE, [0, 19]);
    let tally = run([prepare, prepare, call(H_RESIZE_HPT_COMMIT, [1, 19]), call(H_RESIZE_HPT_COMMIT, [0, 19])]);
    assert_eq!(tally.exchanged, 1);
}

#[test]
fn a_hash_guests_process_table_has_a_limit_and_no_tlbie_goes_with_it() {
    let register = |args: [u64; 4]| run([call(H_REGISTER_PROC_TBL, args)]).done;
    assert_eq!((register([0x18, 0, 0, 24]), register([0x18, 0, 0, 25]), register([1, 0, 0, 0])), (1, 0, 0));
}
