//! A source: where interrupts come from. Its whole state is one word's worth.

use super::icp::NONE;

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

    /// A server took it.
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
