//! QEMU's command line: the one place that knows how a pseries machine is put together for us.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What starts first in the machine.
pub enum Boot {
    /// The hypervisor in place of firmware: the fast way.
    Bios(PathBuf),
    /// The hypervisor or a plain kernel, loaded by QEMU's small built-in firmware.
    Vof,
    /// The same, loaded by the usual firmware.
    Slof,
}

/// A machine to be started.
pub struct Machine {
    pub qemu: PathBuf,
    pub cpu: &'static str,
    pub memory: u64,
    pub boot: Boot,
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    pub append: String,
    /// Where the second console's bytes go: the hypervisor's log.
    pub log: Option<PathBuf>,
    pub gdb: bool,
    pub icount: bool,
    pub extra: Vec<OsString>,
}

/// Nested virtualization of the kind that TCG implements, the capabilities that TCG lacks said to be missing (it warns
/// otherwise), and the interrupt controller that needs no MMIO.
const MACHINE: &str = "pseries,cap-nested-hv=on,cap-cfpc=broken,cap-ibs=broken,cap-ccf-assist=off,ic-mode=xics";
/// The second console: the first one is made by `-serial` and has the lower address.
const LOG_CONSOLE: &str = "spapr-vty,chardev=log,reg=0x71000010";

impl Machine {
    /// The command that starts it, with the guest's console on standard input and output.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.qemu);
        command.args(["-nodefaults", "-display", "none", "-M", &self.machine(), "-cpu", self.cpu, "-accel", "tcg"]);
        command.args(["-smp", "1", "-m", &format!("{}M", self.memory >> 20), "-serial", "mon:stdio"]);
        if let Some(log) = &self.log {
            command.arg("-chardev").arg(chardev(log)).args(["-device", LOG_CONSOLE]);
        }
        if let Boot::Bios(image) = &self.boot {
            command.arg("-bios").arg(image);
        }
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initrd).args(["-append", &self.append]);
        command.args(["-action", "panic=exit-failure"]).args(self.debugging()).args(&self.extra);
        command
    }

    fn machine(&self) -> String {
        match self.boot {
            Boot::Vof => format!("{MACHINE},x-vof=on"),
            Boot::Bios(_) | Boot::Slof => MACHINE.into(),
        }
    }

    fn debugging(&self) -> impl Iterator<Item = &'static str> {
        let gdb = self.gdb.then_some(["-s", "-S"]);
        let icount = self.icount.then_some(["-icount", "shift=0,sleep=off"]);
        gdb.into_iter().chain(icount).flatten()
    }
}

/// Commas end an option's value unless doubled.
fn chardev(log: &Path) -> String {
    format!("file,id=log,path={}", log.display().to_string().replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc;

    fn machine(boot: Boot) -> Machine {
        let (qemu, kernel, initrd) = ("qemu".into(), "k".into(), "i".into());
        let (append, log) = ("a b".into(), Some("l,og".into()));
        let (memory, cpu) = (1280 << 20, "power9");
        Machine {
            qemu,
            cpu,
            memory,
            boot,
            kernel,
            initrd,
            append,
            log,
            gdb: false,
            icount: true,
            extra: vec!["-d".into()],
        }
    }

    #[test]
    fn the_hypervisor_goes_in_place_of_firmware_and_the_guest_beside_it() {
        let line = proc::shown(&machine(Boot::Bios("h.bin".into())).command());
        assert!(line.contains("-bios h.bin -kernel k -initrd i -append 'a b'"), "{line}");
        assert!(line.contains("path=l,,og -device spapr-vty"), "{line}");
        assert!(line.ends_with("-icount shift=0,sleep=off -d"), "{line}");
        assert!(!line.contains("x-vof"), "{line}");
    }

    #[test]
    fn only_the_small_firmware_is_asked_for_by_a_machine_option() {
        assert!(proc::shown(&machine(Boot::Vof).command()).contains("x-vof=on"));
        assert!(!proc::shown(&machine(Boot::Slof).command()).contains("x-vof"));
    }
}
