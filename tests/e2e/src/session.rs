//! A run of the tool over pipes: its console with the time at which each piece arrived, its exit code at the end.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Setting;
use crate::console::Console;

/// The mark that the default guest's first process prints when its shell can be typed into.
pub const SHELL_READY: &str = "samewise: shell ready";
/// The mark that it prints first of all.
pub const USER_SPACE: &str = "samewise: user space";
/// How long a guest may take to its shell. Firmware and a loaded machine included.
pub const BOOT: Duration = Duration::from_secs(90);
/// Ends a run that hangs, and is told to the tool as its own limit.
const LIMIT: Duration = Duration::from_secs(600);

/// A running tool.
pub struct Session {
    child: Tool,
    stdin: Option<ChildStdin>,
    chunks: Receiver<(Instant, Vec<u8>)>,
    /// Everything printed, and how much of it had arrived when.
    text: String,
    arrivals: Vec<(usize, Instant)>,
    /// Up to where [`Session::expect`] has read.
    seen: usize,
    complaints: JoinHandle<String>,
    started: Instant,
}

/// The tool's process, ended with the case that gave up on it: else it and its QEMU would run on beside the next cases.
struct Tool(Child);

impl Drop for Tool {
    fn drop(&mut self) {
        // Both fail only if the process is gone, which is what is wanted.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// How a run ended.
pub struct Ended {
    pub code: Option<i32>,
    pub console: Console,
    pub complaints: String,
}

impl Session {
    /// Starts `scripts/run` with these options and a time limit.
    pub fn start(setting: &Setting, options: &[&str]) -> Result<Self> {
        let mut command = Command::new(&setting.tool);
        command.arg("run").args(["--timeout", &LIMIT.as_secs().to_string()]);
        command.arg("--hypervisor").arg(&setting.hypervisor).args(options);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().context("cannot start the tool")?;
        let stdout = child.stdout.take().context("no pipe")?;
        let mut stderr = child.stderr.take().context("no pipe")?;
        let complaints = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let (stdin, chunks) = (child.stdin.take(), stamped(stdout));
        let (text, arrivals) = (String::new(), Vec::new());
        Ok(Self { child: Tool(child), stdin, chunks, text, arrivals, seen: 0, complaints, started: Instant::now() })
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the console was closed")?;
        writeln!(stdin, "{line}").context("the console does not take input")
    }

    /// Waits until something is printed after what was last expected; tells when it had arrived.
    pub fn expect(&mut self, wanted: &str, patience: Duration) -> Result<Instant> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(at) = self.text[self.seen..].find(wanted) {
                self.seen += at + wanted.len();
                return Ok(self.arrival(self.seen));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok((time, bytes)) => self.take(time, &bytes),
                Err(why) => bail!("{wanted:?} did not come ({}); last seen:\n{}", reason(why), self.tail()),
            }
        }
    }

    /// The rest of the line on which the last expected words stood.
    pub fn rest_of_line(&mut self) -> Result<String> {
        let start = self.seen;
        self.expect("\n", Duration::from_secs(10))?;
        Ok(self.text[start..self.seen].trim().to_owned())
    }

    /// Types a command and waits for its success.
    pub fn command(&mut self, command: &str, patience: Duration) -> Result<()> {
        // What is typed comes back as an echo, even twice; the quotes keep it apart from the answer.
        self.type_line(&format!("{command}; echo sta''tus-$?"))?;
        self.expect("status-", patience).with_context(|| format!("while waiting for `{command}`"))?;
        let status = self.rest_of_line()?;
        ensure!(status == "0", "`{command}` ended with {status}:\n{}", self.tail());
        Ok(())
    }

    /// The QEMU that the tool started.
    pub fn qemu(&self) -> Result<u32> {
        let tool = self.child.0.id();
        let tasks = fs::read_dir(format!("/proc/{tool}/task"))?.flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let ids: Vec<u32> =
            children.flat_map(|ids| ids.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
        ids.into_iter().find(|id| is_qemu(*id)).context("the tool runs no QEMU")
    }

    /// Waits for the end.
    pub fn end(mut self) -> Result<Ended> {
        let deadline = Instant::now() + LIMIT + Duration::from_secs(30);
        while let Ok((time, bytes)) = self.chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.take(time, &bytes);
        }
        if Instant::now() >= deadline {
            self.child.0.kill()?;
        }
        let code = self.child.0.wait()?.code();
        let complaints = self.complaints.join().unwrap_or_default();
        Ok(Ended { code, console: Console(self.text), complaints })
    }

    fn take(&mut self, time: Instant, bytes: &[u8]) {
        self.text.push_str(&String::from_utf8_lossy(bytes));
        self.arrivals.push((self.text.len(), time));
    }

    fn arrival(&self, at: usize) -> Instant {
        let chunk = self.arrivals.iter().find(|(end, _)| *end >= at);
        chunk.map_or_else(Instant::now, |(_, time)| *time)
    }

    fn tail(&self) -> String {
        tail(&self.text)
    }
}

impl Ended {
    /// Checks the exit code; and of a run that ended well, that the guest's kernel complained of nothing.
    pub fn with_code(self, wanted: i32) -> Result<Self> {
        let ended = self.with_code_whatever_it_printed(wanted)?;
        if wanted == 0 {
            ended.console.is_clean()?;
        }
        Ok(ended)
    }

    /// Checks the exit code alone.
    pub fn with_code_whatever_it_printed(self, wanted: i32) -> Result<Self> {
        let (code, console, complaints) = (self.code, tail(&self.console), tail(&self.complaints));
        ensure!(
            code == Some(wanted),
            "exit code {code:?} instead of {wanted}; the console's end:\n{console}\nthe tool's:\n{complaints}"
        );
        Ok(self)
    }

    /// Checks that the tool said something.
    pub fn complaining(self, wanted: &str) -> Result<Self> {
        ensure!(self.complaints.contains(wanted), "the tool did not say {wanted:?} but:\n{}", tail(&self.complaints));
        Ok(self)
    }

    /// Checks that the guest printed something.
    pub fn printing(self, wanted: &str) -> Result<Self> {
        ensure!(self.console.contains(wanted), "the guest did not print {wanted:?} but:\n{}", tail(&self.console));
        Ok(self)
    }
}

/// Runs the tool to its end.
pub fn run(setting: &Setting, options: &[&str]) -> Result<Ended> {
    let mut session = Session::start(setting, options)?;
    session.stdin = None;
    session.end()
}

/// A path as an option's value.
pub fn text(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

/// Reads pieces and stamps them as they come.
fn stamped(mut from: impl Read + Send + 'static) -> Receiver<(Instant, Vec<u8>)> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now(), buffer[..len].to_vec())).is_err() {
                break;
            }
        }
    });
    receiver
}

fn is_qemu(id: u32) -> bool {
    let name = fs::read_link(PathBuf::from(format!("/proc/{id}/exe"))).unwrap_or_default();
    name.file_name().is_some_and(|name| name.display().to_string().starts_with("qemu-system"))
}

fn reason(error: RecvTimeoutError) -> &'static str {
    match error {
        RecvTimeoutError::Timeout => "time ran out",
        RecvTimeoutError::Disconnected => "the run ended",
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
