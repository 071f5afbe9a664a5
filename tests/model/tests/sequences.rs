//! Sequences of all operations on the fake machine, against the model.
//!
//! `SAMEWISE_MODEL_OPS` says how many operations are run; the number that were is printed, with what they came across.

use model::{Op, Setup, Tally, op, run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use std::fmt;
use std::sync::Mutex;

/// Operations without a word from the environment.
const OPERATIONS: u64 = 12_000;
/// Sequences between two looks at how many operations there were.
const CASES: u32 = 8;
/// The longest sequence.
const LENGTH: usize = 600;

fn setups() -> impl Strategy<Value = Setup> {
    any::<[u8; 4]>().prop_map(Setup::decode)
}

/// Operations, one a line where they are shown.
#[derive(Clone)]
struct Sequence(Vec<Op>);

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|op| write!(f, "\n    Op::{op:x?},"))
    }
}

fn sequences() -> impl Strategy<Value = Sequence> {
    vec(any::<[u8; op::BYTES]>().prop_map(Op::decode), 1..LENGTH).prop_map(Sequence)
}

fn wanted() -> u64 {
    match std::env::var("SAMEWISE_MODEL_OPS") {
        Ok(number) => number.replace('_', "").parse().expect("SAMEWISE_MODEL_OPS is a number of operations"),
        Err(_) => OPERATIONS,
    }
}

/// Runs sequences until as many operations were done as are wanted.
fn run_all(setups: impl Strategy<Value = Setup>, wanted: u64) -> Tally {
    let sum = Mutex::new(Tally::default());
    let strategy = (setups, sequences());
    while sum.lock().expect("no sequence ends holding it").operations < wanted {
        let persistence = FileFailurePersistence::WithSource("regressions");
        let config = Config {
            cases: CASES,
            max_shrink_iters: 100_000,
            max_shrink_time: 60_000,
            source_file: Some(file!()),
            failure_persistence: Some(Box::new(persistence)),
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(&strategy, |(setup, ops)| {
            let tally = run(&setup, ops.0);
            *sum.lock().expect("no sequence ends holding it") += tally;
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!("{failure}");
        }
    }
    sum.into_inner().expect("no sequence ends holding it")
}

#[test]
fn any_sequence_of_operations_agrees_with_a_plain_map_of_pages() {
    let tally = run_all(setups(), wanted());
    println!("{tally:#?}");
    assert!(tally.faults > 0 && tally.compared > 0);
}
