//! Bytes become a hash guest's calls and accesses, which run on hostile hardware and on the model. They end where the two differ.

#![no_main]

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use model::hash::{Op, run};

/// What the bytes say.
#[derive(Debug)]
struct Input {
    ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let length = bytes.len();
        let ops = Op::decode_all(bytes.bytes(length)?).collect();
        Ok(Self { ops })
    }
}

fuzz_target!(|input: Input| {
    let _what_it_came_across = run(input.ops);
});
