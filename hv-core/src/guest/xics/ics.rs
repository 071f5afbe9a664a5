//! A source: where interrupts come from. Its whole state is one word.
//!
//! ```text
//!   63    32 31    19      18        17      16   15            8 7        0
//!   | server | ---- | in service | signal | level | saved priority | priority |
//! ```

use super::icp::NONE;
use super::word::Packed;

/// How a device signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Each signal is one interrupt, as a message is.
    Edge,
    /// There is an interrupt as long as the line is on.
    Level,
}

/// The state of a source: a value, from which each transition makes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    server: u32,
    priority: u8,
    saved_priority: u8,
    trigger: Trigger,
    /// Edge: signalled and not delivered since. Level: the line is on.
    signal: bool,
    /// Level: delivered, and not ended or rejected since.
    in_service: bool,
}

const LEVEL: u64 = 1 << 16;
const SIGNAL: u64 = 1 << 17;
const IN_SERVICE: u64 = 1 << 18;

impl Packed for Source {
    fn packed(self) -> u64 {
        let flag = |is: bool, bit: u64| if is { bit } else { 0 };
        let flags =
            flag(self.trigger == Trigger::Level, LEVEL) | flag(self.signal, SIGNAL) | flag(self.in_service, IN_SERVICE);
        u64::from(self.server) << 32 | flags | u64::from(self.saved_priority) << 8 | u64::from(self.priority)
    }

    fn unpacked(word: u64) -> Self {
        let [priority, saved_priority, _, _, server @ ..] = word.to_le_bytes();
        Self {
            server: u32::from_le_bytes(server),
            priority,
            saved_priority,
            trigger: if word & LEVEL == 0 { Trigger::Edge } else { Trigger::Level },
            signal: word & SIGNAL != 0,
            in_service: word & IN_SERVICE != 0,
        }
    }
}

impl Source {
    /// A source that is masked, as after a reset.
    #[must_use]
    pub const fn masked(trigger: Trigger) -> Self {
        Self { server: 0, priority: NONE, saved_priority: NONE, trigger, signal: false, in_service: false }
    }

    /// The server it goes to.
    #[must_use]
    pub const fn server(self) -> u32 {
        self.server
    }

    /// Its priority; 0xff: masked.
    #[must_use]
    pub const fn priority(self) -> u8 {
        self.priority
    }

    /// Whether it has an interrupt that is not with a server.
    #[must_use]
    pub const fn wants_delivery(self) -> bool {
        self.signal && !self.in_service && self.priority != NONE
    }

    /// The device signals.
    #[must_use]
    pub fn signalled(self, on: bool) -> Self {
        match self.trigger {
            Trigger::Edge => Self { signal: self.signal || on, ..self },
            Trigger::Level => Self { signal: on, ..self },
        }
    }

    /// It is with a server, or on its way there.
    #[must_use]
    pub fn delivered(self) -> Self {
        match self.trigger {
            Trigger::Edge => Self { signal: false, ..self },
            Trigger::Level => Self { in_service: true, ..self },
        }
    }

    /// The server gave it back.
    #[must_use]
    pub fn rejected(self) -> Self {
        match self.trigger {
            Trigger::Edge => Self { signal: true, ..self },
            Trigger::Level => Self { in_service: false, ..self },
        }
    }

    /// The processor ended it: a level that is still on counts anew.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { in_service: false, ..self }
    }

    /// It goes elsewhere from now on.
    #[must_use]
    pub fn routed(self, server: u32, priority: u8) -> Self {
        Self { server, priority, saved_priority: priority, ..self }
    }

    /// Masked, its priority remembered.
    #[must_use]
    pub fn masked_now(self) -> Self {
        let saved_priority = if self.priority == NONE { self.saved_priority } else { self.priority };
        Self { priority: NONE, saved_priority, ..self }
    }

    /// With the priority that it had before it was masked.
    #[must_use]
    pub fn unmasked(self) -> Self {
        Self { priority: self.saved_priority, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_the_whole_state() {
        for flags in 0..8 {
            let source = Source {
                server: 0x1234_5678,
                priority: 5,
                saved_priority: 6,
                trigger: if flags & 1 == 0 { Trigger::Edge } else { Trigger::Level },
                signal: flags & 2 != 0,
                in_service: flags & 4 != 0,
            };
            assert_eq!(source.packed(), 0x1234_5678_0000_0605 | flags << 16);
            assert_eq!(Source::unpacked(source.packed()), source);
        }
    }
}
