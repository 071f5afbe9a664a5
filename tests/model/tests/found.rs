//! Sequences that once failed, as short as they became.

use machine::Recording;
use model::{Op, Setup, run};
use ppc64_arch::addr::LeafSize;

/// Pages of 4 KiB, one CPU, zeros; nothing is short.
fn plain() -> Setup {
    let setup = Setup::decode([0, 0, 0, 3]);
    assert_eq!((setup.granule.limit(), setup.budget, setup.cpus), (LeafSize::Size4K, None, 1));
    setup
}

#[test]
fn a_page_out_reaches_the_caches_of_cpus_that_flushes_do_not_reach() {
    let setup = Setup { budget: Some(600), broadcast: false, recording: Recording::Late, cpus: 2, ..plain() };
    let tally = run(&setup, [Op::Store { cpu: 1, at: 0, bytes: 1, seed: 0 }, Op::PageOut { cpu: 0 }]);
    assert_ne!(tally.paged_out, 0);
}

#[test]
fn a_quota_of_fewer_tables_than_a_page_needs_ends_in_out_of_memory() {
    for pages in 0..3 {
        let store = Op::Store { cpu: 0, at: 0, bytes: 1, seed: 0 };
        let write = Op::Write { cpu: 0, at: 0, bytes: 1, seed: 0 };
        let tally = run(&plain(), [Op::LimitTables { pages }, store, write]);
        assert_eq!(tally.out_of_memory, 2, "a limit of {pages}");
    }
}

#[test]
fn a_fault_that_made_the_last_table_allowed_makes_room_for_its_page_by_a_page_out() {
    let setup = Setup { budget: Some(240), layout: 2, ..plain() };
    let ops = [
        Op::StartLog { cpu: 0, base: 0x50_0000 },
        Op::LimitTables { pages: 4 },
        Op::Sweep { cpu: 0, at: 0x20_0000, pages: 0x200, seed: 0x5c },
        Op::Store { cpu: 0, at: 0x2c_f6c6, bytes: 0x11, seed: 0x76 },
        Op::Store { cpu: 0, at: 0x11_accb, bytes: 0x32, seed: 0xdc },
    ];
    assert_eq!(run(&setup, ops).out_of_memory, 0);
}
