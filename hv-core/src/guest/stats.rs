//! How often the guest left, and why.

use super::host::Exit;

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident => $name:literal,)*) => {
        /// Exits by kind, and what was done about them. Plain numbers: one set a vCPU.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $field: u64,)*
            /// Host timebase of the first exit from problem state.
            pub first_user_exit_tb: Option<u64>,
        }

        impl Counters {
            /// Adds what another CPU counted.
            pub fn merge(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
                let firsts = [self.first_user_exit_tb, other.first_user_exit_tb];
                self.first_user_exit_tb = firsts.into_iter().flatten().min();
            }

            /// Calls `f` with the name and value of each counter, in the order of this file.
            pub fn for_each(&self, mut f: impl FnMut(&'static str, u64)) {
                $(f($name, self.$field);)*
            }
        }
    };
}

counters! {
    /// Times the guest was entered.
    entries => "guest.entries",
    /// `sc 1`.
    hcalls => "exit.hcall",
    /// 0xE00.
    data_storage => "exit.hdsi",
    /// 0xE20.
    instruction_storage => "exit.hisi",
    /// 0x980.
    hdec => "exit.hdec",
    /// 0x500 or 0xEA0.
    external => "exit.external",
    /// 0xE40.
    emulation => "exit.heai",
    /// 0xF80.
    facility => "exit.hfu",
    /// 0x100.
    system_reset => "exit.reset",
    /// 0x200.
    machine_check => "exit.machine_check",
    /// Machine checks after which the guest went on and was told nothing.
    recovered => "exit.recovered",
    /// The guest let interrupts in while one waited.
    let_in => "exit.let-in",
    /// Anything else, and failures to enter.
    other => "exit.other",
    /// H_CEDE that slept.
    idles => "guest.idle",
    /// Storage interrupts that were handed to the guest.
    reflected => "fault.reflected",
    /// Times a fault waited for another CPU's work on the same page.
    waited => "fault.waited",
    /// Faults that were asked again without the guest's doing.
    asked_again => "fault.asked-again",
    /// Faults whose vCPU was put aside.
    put_aside => "fault.put-aside",
    /// Times a vCPU was given a CPU.
    dispatches => "sched.dispatches",
    /// Times a vCPU had to make way for another one.
    preemptions => "sched.preemptions",
    /// Times a vCPU came to another CPU than it had been on.
    moves => "sched.moves",
    /// Times a CPU slept.
    sleeps => "sched.sleeps",
    /// External interrupts that were delivered.
    delivered => "guest.external",
    /// Hypervisor calls answered H_FUNCTION.
    unknown_hcalls => "hcall.unknown",
    /// Calls to RTAS.
    rtas => "hcall.rtas",
}

impl Counters {
    /// Counts one exit.
    pub fn exit(&mut self, exit: &Exit) {
        use crate::mmu::Access;
        let counter = match exit {
            Exit::Hcall => &mut self.hcalls,
            Exit::Storage(fault) if fault.access == Access::Fetch => &mut self.instruction_storage,
            Exit::HashStorage(fault) if fault.access == Access::Fetch => &mut self.instruction_storage,
            Exit::Storage(_) | Exit::HashStorage(_) => &mut self.data_storage,
            Exit::Hdec => &mut self.hdec,
            Exit::External => &mut self.external,
            Exit::Emulation(_) => &mut self.emulation,
            Exit::Facility(_) => &mut self.facility,
            Exit::SystemReset => &mut self.system_reset,
            Exit::MachineCheck(_) => &mut self.machine_check,
            Exit::Unexpected(_) | Exit::Failed(_) => &mut self.other,
            Exit::LetIn => &mut self.let_in,
            // Counted where it was begun.
            Exit::Begun => return,
        };
        *counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_is_counted_once_and_every_counter_has_its_own_name() {
        let mut counters = Counters::default();
        for exit in [Exit::Hcall, Exit::Hdec, Exit::External, Exit::Emulation(None), Exit::Failed(-1)] {
            counters.exit(&exit);
        }
        let (mut sum, mut names) = (0, std::collections::BTreeSet::new());
        counters.for_each(|name, value| {
            sum += value;
            assert!(names.insert(name), "{name} twice");
        });
        assert_eq!(sum, 5);
    }
}
