//! Terminals as [`embedded_io`] has them: writing waits while a terminal is busy, reading waits until something was typed.

use super::Terminal;
use core::fmt;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use heapless::Deque;

/// How often a busy terminal is asked before it is given up.
const TRIES: u32 = 1_000_000;
/// Most bytes that a terminal gives at once.
const CHUNK: usize = 16;

/// The terminal took nothing for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the terminal takes nothing")
    }
}

impl core::error::Error for Stuck {}

impl embedded_io::Error for Stuck {
    fn kind(&self) -> ErrorKind {
        ErrorKind::TimedOut
    }
}

impl ErrorType for Terminal {
    type Error = Stuck;
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Stuck> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let written = (0..TRIES).map(|_| Self::write(*self, bytes)).find(|written| *written > 0);
        written.ok_or(Stuck)
    }

    /// Nothing is kept back here.
    fn flush(&mut self) -> Result<(), Stuck> {
        Ok(())
    }
}

/// What was typed at a terminal, with what it gave beyond what was asked for.
pub struct Typed {
    terminal: Terminal,
    waiting: Deque<u8, CHUNK>,
}

impl Typed {
    /// At this terminal.
    #[must_use]
    pub const fn at(terminal: Terminal) -> Self {
        Self { terminal, waiting: Deque::new() }
    }

    /// What was typed up to now, as much as there is room for; how many bytes.
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let mut count = 0;
        while count < into.len() && self.look() {
            let Some(byte) = self.waiting.pop_front() else { break };
            into[count] = byte;
            count += 1;
        }
        count
    }

    /// Asks the terminal if nothing waits; whether something does now.
    fn look(&mut self) -> bool {
        if self.waiting.is_empty() {
            let mut chunk = [0; CHUNK];
            let count = self.terminal.read(&mut chunk);
            // As many as the queue holds, so it has room.
            self.waiting.extend(chunk[..count].iter().copied());
        }
        !self.waiting.is_empty()
    }
}

impl ErrorType for Typed {
    type Error = Stuck;
}

impl Read for Typed {
    /// Waits, for ever if need be, until something is typed.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Stuck> {
        while !into.is_empty() && !self.look() {
            core::hint::spin_loop();
        }
        Ok(self.take(into))
    }
}

impl ReadReady for Typed {
    fn read_ready(&mut self) -> Result<bool, Stuck> {
        Ok(self.look())
    }
}
