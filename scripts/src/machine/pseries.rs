//! The pseries machine: QEMU is the hypervisor below ours, and its firmware is small, usual, or none.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A pseries machine.
pub struct Pseries {
    pub cpu: &'static str,
    pub boot: Boot,
}

/// What starts first in it.
pub enum Boot {
    /// The hypervisor in place of firmware: the fast way.
    Bios(PathBuf),
    /// The hypervisor or a plain kernel, loaded by QEMU's small built-in firmware.
    Vof,
    /// The same, loaded by the usual firmware.
    Slof,
}

/// Nested virtualization of the kind that TCG implements, the capabilities that TCG lacks said to be missing (it warns
/// otherwise), and the interrupt controller that needs no MMIO.
const MACHINE: &str = "pseries,cap-nested-hv=on,cap-cfpc=broken,cap-ibs=broken,cap-ccf-assist=off,ic-mode=xics";
/// The second console: the first one is made by `-serial` and has the lower address.
const LOG_CONSOLE: &str = "spapr-vty,chardev=log,reg=0x71000010";

impl Pseries {
    pub(super) fn name(&self, command: &mut Command) {
        let vof = if matches!(self.boot, Boot::Vof) { ",x-vof=on" } else { "" };
        command.args(["-M", &format!("{MACHINE}{vof}"), "-cpu", self.cpu]);
    }

    pub(super) fn devices(&self, command: &mut Command, log: Option<&Path>) {
        command.args(["-serial", "mon:stdio"]);
        if let Some(log) = log {
            command.arg("-chardev").arg(chardev(log)).args(["-device", LOG_CONSOLE]);
        }
        if let Boot::Bios(image) = &self.boot {
            command.arg("-bios").arg(image);
        }
    }
}

/// Commas end an option's value unless doubled.
fn chardev(log: &Path) -> String {
    format!("file,id=log,path={}", log.display().to_string().replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Board, sample};
    use crate::proc;

    fn line(boot: Boot) -> String {
        let machine = sample(Board::Pseries(Pseries { cpu: "power9", boot }));
        assert!(machine.switches_off());
        proc::shown(&machine.command())
    }

    #[test]
    fn the_hypervisor_goes_in_place_of_firmware_and_the_guest_beside_it() {
        let line = line(Boot::Bios("h.bin".into()));
        assert!(line.contains("-cpu power9 -accel tcg -smp 1 -m 1280M"), "{line}");
        assert!(line.contains("-bios h.bin -kernel k -initrd i -append 'a b'"), "{line}");
        assert!(line.contains("path=l,,og -device spapr-vty"), "{line}");
        assert!(line.ends_with("-icount shift=0,sleep=off -d"), "{line}");
        assert!(!line.contains("x-vof"), "{line}");
    }

    #[test]
    fn only_the_small_firmware_is_asked_for_by_a_machine_option() {
        assert!(line(Boot::Vof).contains("x-vof=on"));
        assert!(!line(Boot::Slof).contains("x-vof"));
    }
}
