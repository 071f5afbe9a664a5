//! What the hypervisor says to this tool rather than to people: counters, and how the run ended.
//!
//! Both travel in the log, as messages of a fixed shape: `stat <dotted.name> <number>` and `end <reason>`.

use std::collections::BTreeMap;

/// Counters by dotted name; a later report replaces an earlier one.
pub type Stats = BTreeMap<String, u64>;

/// How the hypervisor says that the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    PowerOff,
    GuestPanic,
    GuestStopped(String),
    HypervisorPanic,
    Refused(String),
    SelfTest { passed: bool },
}

/// A message of the log that is meant for this tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Stat(String, u64),
    End(End),
}

impl Record {
    /// Reads a message, if it has one of the known shapes.
    pub fn parse(message: &str) -> Option<Self> {
        let (word, rest) = message.split_once(' ')?;
        match word {
            "stat" => stat(rest),
            "end" => End::parse(rest).map(Self::End),
            _ => None,
        }
    }
}

fn stat(rest: &str) -> Option<Record> {
    let (name, number) = rest.split_once(' ')?;
    Some(Record::Stat(name.to_owned(), number.trim().parse().ok()?))
}

impl End {
    fn parse(text: &str) -> Option<Self> {
        let (reason, detail) = text.split_once([' ', ':']).unwrap_or((text, ""));
        let detail = detail.trim_start_matches([' ', ':']).to_owned();
        match reason {
            "guest-power-off" => Some(Self::PowerOff),
            "guest-panic" => Some(Self::GuestPanic),
            "guest-stopped" => Some(Self::GuestStopped(detail)),
            "hypervisor-panic" => Some(Self::HypervisorPanic),
            "refused" => Some(Self::Refused(detail)),
            "self-test-passed" => Some(Self::SelfTest { passed: true }),
            "self-test-failed" => Some(Self::SelfTest { passed: false }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_recognised_by_their_shape() {
        assert_eq!(Record::parse("stat pages.made.4k 17"), Some(Record::Stat("pages.made.4k".into(), 17)));
        assert_eq!(Record::parse("stat pages.made.4k many"), None);
        assert_eq!(Record::parse("status fine 3"), None);
    }

    #[test]
    fn an_end_carries_its_reason_and_words() {
        assert_eq!(Record::parse("end guest-power-off"), Some(Record::End(End::PowerOff)));
        let refused = End::Refused("the kernel is empty".into());
        assert_eq!(Record::parse("end refused the kernel is empty"), Some(Record::End(refused.clone())));
        assert_eq!(Record::parse("end refused: the kernel is empty"), Some(Record::End(refused)));
        assert_eq!(Record::parse("end self-test-failed"), Some(Record::End(End::SelfTest { passed: false })));
        assert_eq!(Record::parse("end of story"), None);
    }
}
