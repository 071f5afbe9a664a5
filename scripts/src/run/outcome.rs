//! How a run ended, judged from what the hypervisor said and how QEMU went.

use super::log::Gathered;
use super::records::End;
use crate::exit::Code;
use crate::proc::Waited;

/// How QEMU went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// The time limit was reached.
    TimedOut,
    /// This tool ended it: the log had said how the run ended, and the machine cannot switch itself off.
    SwitchedOff,
    /// Somebody left it through its monitor.
    Left,
    /// By itself, successfully or not.
    Exited { success: bool },
}

impl Went {
    /// From what was waited for, and whether QEMU said that it was left.
    pub fn of(waited: Waited, left: bool) -> Self {
        match waited {
            Waited::Late => Self::TimedOut,
            Waited::Stopped => Self::SwitchedOff,
            Waited::Ended(_) if left => Self::Left,
            Waited::Ended(status) => Self::Exited { success: status.success() },
        }
    }
}

/// The exit code of a run, and a line that says why.
pub fn judge(went: Went, gathered: &Gathered) -> (Code, String) {
    match (went, &gathered.end) {
        (_, Some(end)) => by_end(end),
        (Went::TimedOut, None) => (Code::TimeOut, "the time limit was reached".into()),
        (Went::Left, None) => (Code::PoweredOff, "left".into()),
        (Went::Exited { success: false }, None) if gathered.bytes == 0 => {
            (Code::NotSetUp, "QEMU ended before the hypervisor said anything".into())
        }
        (Went::Exited { .. } | Went::SwitchedOff, None) => {
            (Code::HypervisorPanic, "the hypervisor ended without saying how".into())
        }
    }
}

/// The same for a kernel that ran without the hypervisor.
pub fn judge_plain(went: Went) -> (Code, String) {
    match went {
        Went::TimedOut => (Code::TimeOut, "the time limit was reached".into()),
        Went::Left | Went::SwitchedOff | Went::Exited { success: true } => (Code::PoweredOff, "powered off".into()),
        Went::Exited { success: false } => (Code::GuestPanic, "panicked, or QEMU failed".into()),
    }
}

fn by_end(end: &End) -> (Code, String) {
    match end {
        End::PowerOff => (Code::PoweredOff, "the guest powered off".into()),
        End::GuestPanic => (Code::GuestPanic, "the guest panicked".into()),
        End::GuestStopped(why) => (Code::GuestStopped, told("the hypervisor stopped the guest", why)),
        End::HypervisorPanic => (Code::HypervisorPanic, "the hypervisor panicked; its log says why".into()),
        End::Refused(why) => (Code::Refused, told("the hypervisor refused what it was given", why)),
        End::SelfTest { passed: true } => (Code::PoweredOff, "the self-test passed".into()),
        End::SelfTest { passed: false } => (Code::TestsFailed, "the self-test failed; the console says where".into()),
    }
}

/// With the reason, unless that stands on the console already.
fn told(what: &str, why: &str) -> String {
    match why {
        "" => format!("{what}; it said why on the console"),
        why => format!("{what}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(end: Option<End>, bytes: usize) -> Gathered {
        Gathered { end, bytes, ..Gathered::default() }
    }

    #[test]
    fn what_the_hypervisor_says_decides() {
        let cases = [
            (End::PowerOff, Code::PoweredOff),
            (End::GuestPanic, Code::GuestPanic),
            (End::GuestStopped("why".into()), Code::GuestStopped),
            (End::HypervisorPanic, Code::HypervisorPanic),
            (End::Refused("why".into()), Code::Refused),
            (End::SelfTest { passed: true }, Code::PoweredOff),
            (End::SelfTest { passed: false }, Code::TestsFailed),
        ];
        for (end, code) in cases {
            // QEMU's own success tells nothing: on bare metal each way to switch off is one.
            for went in [Went::Exited { success: false }, Went::Exited { success: true }, Went::SwitchedOff] {
                assert_eq!(judge(went, &gathered(Some(end.clone()), 9)).0, code);
            }
        }
    }

    #[test]
    fn silence_is_never_taken_for_success() {
        let success = Went::Exited { success: true };
        assert_eq!(judge(success, &gathered(None, 9)).0, Code::HypervisorPanic);
        assert_eq!(judge(success, &gathered(None, 0)).0, Code::HypervisorPanic);
        assert_eq!(judge(Went::TimedOut, &gathered(None, 9)).0, Code::TimeOut);
    }

    #[test]
    fn a_machine_that_never_started_is_a_matter_of_setting_up() {
        assert_eq!(judge(Went::Exited { success: false }, &gathered(None, 0)).0, Code::NotSetUp);
    }
}
