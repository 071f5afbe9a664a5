//! QEMU's command line: the one place that knows how a machine is put together for us.

pub mod powernv;
pub mod pseries;

use powernv::Powernv;
use pseries::Pseries;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which machine QEMU imitates, and what starts first in it.
pub enum Board {
    /// The one that a hypervisor of IBM's gives to its guests.
    Pseries(Pseries),
    /// The bare one.
    Powernv(Powernv),
}

/// A machine to be started.
pub struct Machine {
    pub qemu: PathBuf,
    pub board: Board,
    /// Bytes.
    pub memory: u64,
    /// How many processors the machine itself has.
    pub processors: u32,
    pub kernel: PathBuf,
    pub initrd: Option<PathBuf>,
    pub append: String,
    /// Where the hypervisor's log goes; none without a hypervisor.
    pub log: Option<PathBuf>,
    pub gdb: bool,
    pub icount: bool,
    pub extra: Vec<OsString>,
}

impl Machine {
    /// The command that starts it, with the guest's console on standard input and output.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.qemu);
        command.args(["-nodefaults", "-display", "none"]);
        self.board.name(&mut command);
        command.args(["-accel", "tcg", "-smp", &self.processors.to_string()]);
        command.args(["-m", &format!("{}M", self.memory >> 20)]);
        self.board.devices(&mut command, self.log.as_deref());
        command.arg("-kernel").arg(&self.kernel);
        if let Some(initrd) = &self.initrd {
            command.arg("-initrd").arg(initrd);
        }
        command.args(["-append", &self.append, "-action", "panic=exit-failure"]);
        command.args(self.debugging()).args(&self.extra);
        command
    }

    /// Whether QEMU ends when what runs in the machine switches it off.
    pub fn switches_off(&self) -> bool {
        match &self.board {
            Board::Pseries(_) => true,
            Board::Powernv(board) => board.switches_off(),
        }
    }

    fn debugging(&self) -> impl Iterator<Item = &'static str> {
        let gdb = self.gdb.then_some(["-s", "-S"]);
        let icount = self.icount.then_some(["-icount", "shift=0,sleep=off"]);
        gdb.into_iter().chain(icount).flatten()
    }
}

impl Board {
    fn name(&self, command: &mut Command) {
        match self {
            Self::Pseries(board) => board.name(command),
            Self::Powernv(board) => board.name(command),
        }
    }

    /// Consoles, firmware, and what else is not in the machine by itself.
    fn devices(&self, command: &mut Command, log: Option<&Path>) {
        match self {
            Self::Pseries(board) => board.devices(command, log),
            Self::Powernv(board) => board.devices(command, log),
        }
    }
}

/// What the tests of both boards start from.
#[cfg(test)]
fn sample(board: Board) -> Machine {
    let (qemu, kernel, initrd) = ("qemu".into(), "k".into(), Some("i".into()));
    let (append, log) = ("a b".into(), Some("l,og".into()));
    let (memory, processors, extra) = (1280 << 20, 1, vec!["-d".into()]);
    Machine { qemu, board, memory, processors, kernel, initrd, append, log, gdb: false, icount: true, extra }
}
