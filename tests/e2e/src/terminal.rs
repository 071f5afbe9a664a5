//! A person at a terminal: the shell is typed into through a pty, as the README's first command promises.

use crate::matrix::POWERNV10;
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use std::io::{Read, Write};

const PROMPT: &str = "guest:";
/// Seconds after which the tool ends the run.
const LIMIT: &str = "120";

/// On the machine that nobody has to ask for, and on bare metal.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("terminal/shell", |setting| shell(setting, &[])),
        Case::new("terminal/shell/powernv10", |setting| shell(setting, &POWERNV10.options)),
    ]
}

fn shell(setting: &Setting, machine: &[&str]) -> Result<String> {
    let (pty, pts) = open()?;
    pty.resize(Size::new(25, 100))?;
    let command = Command::new(&setting.tool).args(["run", "--timeout", LIMIT, "--hypervisor"]);
    let mut child = command.arg(&setting.hypervisor).args(machine).spawn(pts)?;
    let mut terminal = Terminal { pty, text: String::new(), seen: 0 };
    let talked = talk(&mut terminal).with_context(|| format!("on the terminal:\n{}", terminal.text));
    if talked.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    talked?;
    ensure!(status.code() == Some(0), "exit code {:?}; on the terminal:\n{}", status.code(), terminal.text);
    Ok("uname, free and poweroff typed".into())
}

fn talk(terminal: &mut Terminal) -> Result<()> {
    terminal.wait_for("Ctrl-A X")?;
    terminal.wait_for(PROMPT)?;
    terminal.answer("uname -a", "ppc64le GNU/Linux")?;
    terminal.answer("free -m", "Mem:")?;
    terminal.pty.write_all(b"poweroff\r")?;
    terminal.wait_for("the guest powered off")
}

/// The other side of the tool's terminal.
struct Terminal {
    pty: Pty,
    text: String,
    /// Up to where [`Terminal::wait_for`] has looked.
    seen: usize,
}

impl Terminal {
    fn answer(&mut self, line: &str, wanted: &str) -> Result<()> {
        self.pty.write_all(format!("{line}\r").as_bytes())?;
        self.wait_for(wanted)?;
        self.wait_for(PROMPT)
    }

    /// Reads until the words come. A tool that hangs is ended by its own limit, which ends the reading too.
    fn wait_for(&mut self, wanted: &str) -> Result<()> {
        let mut buffer = [0; 1024];
        loop {
            if let Some(at) = self.text[self.seen..].find(wanted) {
                self.seen += at + wanted.len();
                return Ok(());
            }
            let len = self.pty.read(&mut buffer).with_context(|| format!("{wanted:?} did not come before the end"))?;
            self.text.push_str(&String::from_utf8_lossy(&buffer[..len]));
        }
    }
}
