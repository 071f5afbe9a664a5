//! The hypervisor's own words, on the guest's console: only before the guest runs, and when something ends.

use crate::pseries::console::FIRST;
use core::fmt;

/// Writes to the first virtual terminal, waiting until it takes everything.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for line in s.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(text) => {
                    FIRST.write_all(text.as_bytes());
                    FIRST.write_all(b"\r\n");
                }
                None => FIRST.write_all(line.as_bytes()),
            }
        }
        Ok(())
    }
}
