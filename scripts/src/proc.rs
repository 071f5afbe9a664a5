//! Other programs: found, run, and waited for, with their complaint in the error when they fail.

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a process is asked whether it has ended.
pub const POLL: Duration = Duration::from_millis(20);

/// The first program of that name on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Runs a command to its end and returns what it printed; a failure tells the command and its last words.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !out.status.success() {
        let said = [out.stdout, out.stderr].map(|bytes| tail(&String::from_utf8_lossy(&bytes)));
        bail!("{} failed ({}):\n{}", shown(command), out.status, said.join("\n").trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Starts a program that ends when this one does, however this one ends.
pub fn spawn_bound(command: &mut Command) -> io::Result<Child> {
    let bind = || Ok(rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?);
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: 1. `bind` makes a single system call,
    // 2. it neither allocates nor locks.
    unsafe { command.pre_exec(bind) }.spawn()
}

/// What came of waiting for a child.
#[derive(Clone, Copy, Debug)]
pub enum Waited {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It was ended since it was no longer wanted.
    Stopped,
    /// It was ended at its deadline.
    Late,
}

/// Waits for a child until the deadline; past it, ends that child and returns `None`.
pub fn wait_until(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    match wait_while(child, deadline, || true)? {
        Waited::Ended(status) => Ok(Some(status)),
        Waited::Stopped | Waited::Late => Ok(None),
    }
}

/// Waits for a child as long as it is wanted, at most until the deadline; then ends that child.
pub fn wait_while(child: &mut Child, deadline: Instant, mut wanted: impl FnMut() -> bool) -> Result<Waited> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Waited::Ended(status));
        }
        let late = Instant::now() >= deadline;
        if late || !wanted() {
            child.kill()?;
            child.wait()?;
            return Ok(if late { Waited::Late } else { Waited::Stopped });
        }
        thread::sleep(POLL);
    }
}

/// A command as a person would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%~".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The last lines of a long complaint, which hold its reason.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("qemu");
        command.args(["-append", "a b", "it's", "-m", "1G"]);
        assert_eq!(shown(&command), r"qemu -append 'a b' 'it'\''s' -m 1G");
    }

    #[test]
    fn a_failing_program_is_quoted_in_the_error() {
        let error = output(Command::new("sh").args(["-c", "echo no such thing >&2; exit 4"])).unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[test]
    fn a_child_past_its_deadline_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(wait_until(&mut child, Instant::now()).unwrap().is_none());
        assert!(child.try_wait().unwrap().is_some());
    }

    #[test]
    fn a_child_that_is_not_wanted_is_ended_before_its_deadline() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(matches!(wait_while(&mut child, deadline, || false).unwrap(), Waited::Stopped));
    }
}
