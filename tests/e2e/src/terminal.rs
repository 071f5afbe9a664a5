//! A person at a terminal: the shell is typed into through a pty, as the README's first command promises.

use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const PROMPT: &str = "guest:";
const PATIENCE: Duration = Duration::from_secs(120);

/// The one case.
pub fn cases() -> Vec<Case> {
    vec![Case::new("terminal/shell", shell)]
}

fn shell(setting: &Setting) -> Result<String> {
    let (mut pty, pts) = open()?;
    pty.resize(Size::new(25, 100))?;
    let command = Command::new(&setting.tool).args(["run", "--timeout", "300", "--hypervisor"]);
    let mut child = command.arg(&setting.hypervisor).spawn(pts)?;
    let mut seen = String::new();
    let talked = talk(&mut pty, &mut seen);
    let left = talked.with_context(|| format!("on the terminal:\n{seen}"));
    if left.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    left?;
    ensure!(status.code() == Some(0), "exit code {:?}; on the terminal:\n{seen}", status.code());
    Ok("uname, free and poweroff typed".into())
}

fn talk(pty: &mut Pty, seen: &mut String) -> Result<()> {
    wait_for(pty, seen, "Ctrl-A X")?;
    wait_for(pty, seen, PROMPT)?;
    answer(pty, seen, "uname -a", "ppc64le GNU/Linux")?;
    answer(pty, seen, "free -m", "Mem:")?;
    pty.write_all(b"poweroff\r")?;
    wait_for(pty, seen, "the guest powered off")
}

fn answer(pty: &mut Pty, seen: &mut String, line: &str, wanted: &str) -> Result<()> {
    pty.write_all(format!("{line}\r").as_bytes())?;
    wait_for(pty, seen, wanted)?;
    wait_for(pty, seen, PROMPT)
}

/// Reads until the words come; what was read up to then is passed over by the next call.
fn wait_for(pty: &mut Pty, seen: &mut String, wanted: &str) -> Result<()> {
    let (start, deadline) = (seen.len(), Instant::now() + PATIENCE);
    let mut buffer = [0; 1024];
    while !seen[start..].contains(wanted) {
        ensure!(Instant::now() < deadline, "{wanted:?} did not come");
        let len = pty.read(&mut buffer).with_context(|| format!("{wanted:?} did not come before the end"))?;
        seen.push_str(&String::from_utf8_lossy(&buffer[..len]));
    }
    Ok(())
}
