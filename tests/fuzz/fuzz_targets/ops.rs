//! Bytes become a setup and a sequence of operations, which run on the fake machine and on the model. They end where the two differ.

#![no_main]

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use model::{Op, Setup, run};

/// What the bytes say.
#[derive(Debug)]
struct Input {
    setup: Setup,
    ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let setup = Setup::decode(bytes.arbitrary()?);
        let length = bytes.len();
        let ops = Op::decode_all(bytes.bytes(length)?).collect();
        Ok(Self { setup, ops })
    }
}

fuzz_target!(|input: Input| {
    let _what_it_came_across = run(&input.setup, input.ops);
});
