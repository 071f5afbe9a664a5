//! The bare machine: hypervisor mode is ours, and skiboot gives the services of OPAL.
//!
//! The first UART carries the hypervisor's log, which it writes itself; skiboot takes the second one as its console.
//! Firmware loads kernel and initrd to fixed places, between which they must fit:
//!
//! ```text
//! 0x20000000        0x28000000        0x30000000         0x32930000
//! | kernel          | initrd          | skiboot          | free to the end of memory
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;

/// A powernv machine.
pub struct Powernv {
    /// QEMU's name of the machine; it implies the processor.
    pub machine: &'static str,
    pub boot: Boot,
    /// Whether the board has the small controller that switches it off. Its traffic depends on the host's clock, so that
    /// runs which are to repeat exactly do without it.
    pub bmc: bool,
}

/// What starts first in it.
pub enum Boot {
    /// Skiboot, which starts the kernel.
    Skiboot,
    /// This flat image of the hypervisor, without OPAL; the kernel is only loaded.
    Bare(PathBuf),
}

/// The most bytes that QEMU loads as kernel, and as initrd.
pub const LOADED: u64 = 128 << 20;
/// What the layout above and firmware's own tables take of the memory.
pub const RESERVED: u64 = 1 << 30;

const BMC: [&str; 4] = ["-device", "ipmi-bmc-sim,id=bmc0", "-device", "isa-ipmi-bt,bmc=bmc0,irq=10"];

impl Powernv {
    pub(super) fn name(&self, command: &mut Command) {
        command.args(["-M", self.machine]);
    }

    pub(super) fn devices(&self, command: &mut Command, log: Option<&Path>) {
        if let Some(log) = log {
            // Commas mean nothing in this form.
            command.args(["-serial", &format!("file:{}", log.display())]);
        }
        command.args(["-serial", "mon:stdio"]);
        if self.bmc {
            command.args(BMC);
        }
        if let Boot::Bare(image) = &self.boot {
            command.arg("-bios").arg(image);
        }
    }

    /// OPAL asks the controller; without either the machine runs on.
    pub(super) fn switches_off(&self) -> bool {
        self.bmc && matches!(self.boot, Boot::Skiboot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Board, Machine, sample};
    use crate::proc;

    fn machine(boot: Boot, bmc: bool) -> Machine {
        sample(Board::Powernv(Powernv { machine: "powernv9", boot, bmc }))
    }

    #[test]
    fn the_log_has_the_first_uart_and_the_console_the_second() {
        let line = proc::shown(&machine(Boot::Skiboot, true).command());
        assert!(line.contains("-M powernv9 -accel tcg -smp 1 -m 1280M -serial file:l,og -serial mon:stdio"), "{line}");
        assert!(line.contains("irq=10 -kernel k -initrd i -append 'a b'"), "{line}");
        assert!(!line.contains("-cpu") && !line.contains("-bios"), "{line}");
    }

    #[test]
    fn without_a_log_the_console_is_the_only_uart() {
        let line = proc::shown(&Machine { log: None, ..machine(Boot::Skiboot, true) }.command());
        assert_eq!(line.matches("-serial").count(), 1, "{line}");
    }

    #[test]
    fn only_firmware_and_controller_together_switch_the_machine_off() {
        assert!(machine(Boot::Skiboot, true).switches_off());
        assert!(!machine(Boot::Skiboot, false).switches_off());
        let bare = machine(Boot::Bare("h.bin".into()), false);
        assert!(!bare.switches_off());
        let line = proc::shown(&bare.command());
        assert!(line.contains("-bios h.bin -kernel k") && !line.contains("ipmi"), "{line}");
    }

    #[test]
    fn a_machine_without_an_initrd_is_not_told_of_one() {
        let line = proc::shown(&Machine { initrd: None, ..machine(Boot::Skiboot, true) }.command());
        assert!(!line.contains("-initrd"), "{line}");
    }
}
