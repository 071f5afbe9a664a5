//! The hypervisor's own words, on the guest's console: only before the guest runs, and when something ends.

use crate::terminal::Terminal;
use core::fmt;

/// Writes to the machine's first terminal, waiting until it takes everything.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let first = Terminal::first();
        for line in s.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(text) => {
                    first.write_all(text.as_bytes());
                    first.write_all(b"\r\n");
                }
                None => first.write_all(line.as_bytes()),
            }
        }
        Ok(())
    }
}
