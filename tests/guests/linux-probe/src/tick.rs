//! Two lines and a sleep between them. Whoever reads the console stamps the lines with its own clock: that shows whether
//! the guest's decrementer ends the sleep in time, and whether its timebase runs as fast as the world's.

use crate::{Outcome, out::say, sys};

/// Sleeps for so many seconds.
pub fn run(seconds: u64) -> Outcome {
    say!("tick start");
    let before = sys::monotonic();
    if let Err(error) = sys::sleep(seconds) {
        say!("tick FAIL: clock_nanosleep errno {}", error.0);
        return Outcome::Bad;
    }
    let elapsed = sys::monotonic() - before;
    say!("tick end {elapsed}");
    if elapsed >= seconds * 1_000_000_000 { Outcome::Good } else { Outcome::Bad }
}
