//! Keeps a guest busy whose memory is larger than what the hypervisor gives it: data that compresses about five to one, written all over
//! and then read back, as often as asked, each pass with other data.
//!
//! Every page leaves and comes back in each pass, and one that came back as it was a pass ago, or as another one, is noticed.

use crate::region::{Failure, Region};
use crate::{Outcome, compressible, out::say};

/// Works on the amount of memory that `text` names, so many times.
pub fn run(text: &[u8], passes: u64) -> Outcome {
    match work(text, passes) {
        Ok(bytes) => {
            say!("overcommit ok {bytes} bytes {passes} times");
            Outcome::Good
        }
        Err(Failure::Usage) => crate::usage(),
        Err(why) => {
            why.report("overcommit");
            Outcome::Bad
        }
    }
}

fn work(text: &[u8], passes: u64) -> Result<usize, Failure> {
    let mut region = Region::map(text)?;
    for pass in 0..passes {
        let word = |index: usize| compressible::word(index as u64, pass);
        region.fill(word);
        say!("overcommit pass {} of {passes}: written", pass + 1);
        region.verify(word)?;
        say!("overcommit pass {} of {passes}: verified", pass + 1);
    }
    Ok(region.bytes())
}
