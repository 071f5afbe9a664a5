//! Sequences of a hash guest's calls and accesses, against the model.
//!
//! `PROPTEST_CASES` says how many sequences are run; what they came across is printed.

use model::hash::op::BYTES;
use model::hash::{Op, Tally, run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use std::fmt;
use std::sync::Mutex;

/// The longest sequence.
const LENGTH: usize = 250;

/// Operations, one a line where they are shown.
#[derive(Clone)]
struct Sequence(Vec<Op>);

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|op| write!(f, "\n    Op::{op:x?},"))
    }
}

#[test]
fn any_sequence_of_hash_calls_and_accesses_is_what_a_plain_map_makes_of_it() {
    let sum = Mutex::new(Tally::default());
    let sequences = vec(any::<[u8; BYTES]>().prop_map(Op::decode), 1..LENGTH).prop_map(Sequence);
    let persistence = FileFailurePersistence::WithSource("regressions");
    let config = Config {
        max_shrink_iters: 100_000,
        max_shrink_time: 60_000,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(persistence)),
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&sequences, |ops| {
        let tally = run(ops.0);
        *sum.lock().expect("no sequence ends holding it") += tally;
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let tally = sum.into_inner().expect("no sequence ends holding it");
    println!("{tally:#?}");
    let Tally { operations, done, refused, entered, removed, exchanged, moved, crowded, reached, devices, interrupts } =
        tally;
    let all = [operations, done, refused, entered, removed, exchanged, moved, crowded, reached, devices, interrupts];
    assert!(!all.contains(&0), "there is something that never happens");
}
