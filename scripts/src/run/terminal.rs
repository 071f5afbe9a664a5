//! The user's terminal, given back as it was found: QEMU switches it to raw input and may be ended in that state.

use rustix::termios::{self, OptionalActions, Termios};
use std::io::{IsTerminal, stdin};

/// Restores the terminal's settings when dropped.
pub struct Terminal {
    before: Option<Termios>,
}

impl Terminal {
    /// Remembers the settings, if standard input is a terminal.
    pub fn remember() -> Self {
        let terminal = stdin().is_terminal();
        Self { before: terminal.then(|| termios::tcgetattr(stdin()).ok()).flatten() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Nothing can be done for a terminal that went away.
            let _ = termios::tcsetattr(stdin(), OptionalActions::Drain, before);
        }
    }
}
