//! Writes a pattern over memory and reads it back.
//!
//! Every doubleword depends on where it stands, so a page that turns up in two places, or in a wrong one, shows. A second
//! pass writes the complement everywhere: a page whose write went to a stale copy shows then.

use crate::region::{Failure, Region};
use crate::{Outcome, out::say};

const SEED: u64 = 0x5341_4d45_5749_5345;

/// Tests the amount of memory that `text` names.
pub fn run(text: &[u8]) -> Outcome {
    match check(text) {
        Ok(bytes) => {
            say!("pattern ok {bytes}");
            Outcome::Good
        }
        Err(Failure::Usage) => crate::usage(),
        Err(why) => {
            why.report("pattern");
            Outcome::Bad
        }
    }
}

/// Maps the memory, writes and verifies it twice; the size on success.
fn check(text: &[u8]) -> Result<usize, Failure> {
    let mut region = Region::map(text)?;
    for flip in [0, u64::MAX] {
        region.fill(|index| word(index) ^ flip);
        region.verify(|index| word(index) ^ flip)?;
    }
    Ok(region.bytes())
}

/// What stands at doubleword `index`: an odd multiplier spreads the index over the high half, the shift brings it down.
fn word(index: usize) -> u64 {
    let spread = (index as u64 ^ SEED).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    spread ^ (spread >> 32)
}
