//! The guest that measures, booted once for each size of page, once with a budget, once with measures against speculation and once with a hashed table, under the
//! instruction counter.

use super::platforms::Platform;
use crate::proc;
use crate::run::args::RunArgs;
use crate::run::{self, Prepared};
use crate::ui::Step;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What the guest told: instructions by the name of the event.
pub type Told = BTreeMap<String, f64>;

/// How long a boot may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
/// What each line of the guest begins with, and its last one.
const PREFIX: &str = "measure: ";
const DONE: &str = "done";

/// A boot: what it measures, and what `scripts/run` has to be told.
struct Boot {
    name: &'static str,
    words: &'static [&'static str],
    /// Before the names of its events.
    prefix: &'static str,
    /// Only where there is no hypervisor below.
    bare_metal: bool,
}

impl Boot {
    const fn new(name: &'static str, words: &'static [&'static str]) -> Self {
        Self { name, words, prefix: "", bare_metal: false }
    }
}

const BOOTS: [Boot; 6] = [
    Boot::new("4 KiB", &["--granule", "4k", "--append", "samewise.bench=on"]),
    Boot::new("64 KiB", &["--granule", "64k", "--append", "measure=64k"]),
    Boot::new("2 MiB", &["--granule", "2m", "--append", "measure=2m"]),
    Boot::new("budget", &["--granule", "4k", "--budget", "64M", "--append", "samewise.bench=on measure=page-in"]),
    Boot {
        name: "measures against speculation",
        words: &["--granule", "4k", "--append", "samewise.measures=on"],
        prefix: "measures-",
        bare_metal: true,
    },
    Boot {
        name: "hash",
        words: &["--granule", "4k", "--mmu", "hash", "--append", "measure=hash"],
        prefix: "hash-",
        bare_metal: true,
    },
];

/// Everything that the guest tells on a platform.
pub fn all(platform: &Platform, hypervisor: &Path, guest: &Path, step: &Step) -> Result<Told> {
    let mut told = Told::new();
    for boot in BOOTS.iter().filter(|boot| platform.is_bare_metal() || !boot.bare_metal) {
        step.note(&format!("{}, {}", platform.name, boot.name));
        let prepared = prepare(platform, boot, hypervisor, guest)?;
        let heard = measure(&prepared).with_context(|| boot.name.to_owned())?;
        told.extend(heard.into_iter().map(|(name, value)| (format!("{}{name}", boot.prefix), value)));
    }
    Ok(told)
}

fn prepare(platform: &Platform, boot: &Boot, hypervisor: &Path, guest: &Path) -> Result<Prepared> {
    let path = |path: &'_ Path| path.to_str().map(str::to_owned).context("a file's name is no text");
    let (hypervisor, guest) = (path(hypervisor)?, path(guest)?);
    let common = ["--hypervisor", &hypervisor, "--kernel", &guest, "--memory", "1G", "--icount", "--one-page"];
    run::prepare(&RunArgs::from_words(&[&common[..], platform.words, boot.words].concat())?)
}

/// One boot. QEMU is ended as soon as the guest is done: not every machine switches itself off under the instruction counter.
fn measure(prepared: &Prepared) -> Result<Told> {
    let mut command = prepared.machine.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut qemu = proc::spawn_bound(&mut command).context("cannot start QEMU")?;
    let told = listen(&mut qemu);
    qemu.kill()?;
    qemu.wait()?;
    let mut complaints = String::new();
    if let Some(mut stderr) = qemu.stderr.take() {
        stderr.read_to_string(&mut complaints)?;
    }
    told.with_context(|| complaints.trim().to_owned())
}

/// Hears the guest out.
fn listen(qemu: &mut Child) -> Result<Told> {
    let lines = lines(qemu)?;
    let deadline = Instant::now() + LIMIT;
    let (mut told, mut heard) = (Told::new(), String::new());
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => match understand(&line) {
                Line::Figure(name, value) => drop(told.insert(name, value)),
                Line::Failed => bail!("the guest says: {}", line.trim()),
                Line::Done => return Ok(told),
                Line::Other => heard = heard + line.trim() + "\n",
            },
            Err(RecvTimeoutError::Timeout) => bail!("the guest was not done in time; it said: {}", heard.trim()),
            Err(RecvTimeoutError::Disconnected) => bail!("the guest ended early; it said: {}", heard.trim()),
        }
    }
}

/// The console's lines, as they come.
fn lines(qemu: &mut Child) -> Result<Receiver<String>> {
    let console = BufReader::new(qemu.stdout.take().context("QEMU has no output")?);
    let (sender, lines) = channel();
    thread::spawn(move || {
        let texts = console.split(b'\n').map_while(Result::ok);
        texts.map(|line| String::from_utf8_lossy(&line).into_owned()).try_for_each(|line| sender.send(line))
    });
    Ok(lines)
}

/// What a line of the console means.
#[derive(Clone, Debug, PartialEq)]
enum Line {
    Figure(String, f64),
    Failed,
    Done,
    Other,
}

fn understand(line: &str) -> Line {
    let Some(words) = line.trim().strip_prefix(PREFIX) else { return Line::Other };
    if words == DONE {
        return Line::Done;
    }
    match words.split_once(' ') {
        Some(("FAIL", _)) => Line::Failed,
        Some((name, value)) => value.parse().map_or(Line::Other, |value| Line::Figure(name.to_owned(), value)),
        None => Line::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_figure_if_it_is_a_name_and_a_number() {
        assert_eq!(understand("measure: null-hcall 229.0\r"), Line::Figure("null-hcall".into(), 229.0));
        assert_eq!(understand("measure: second-touch -0.4"), Line::Figure("second-touch".into(), -0.4));
        assert_eq!(understand("measure: done\r"), Line::Done);
        assert_eq!(understand("measure: FAIL page-out answered -16"), Line::Failed);
        for line in
            ["measure: 0 interrupts", "measure: 1024 MiB, timebase 512000000", "measure: skip upkeep: not offered", ""]
        {
            assert_eq!(understand(line), Line::Other, "{line}");
        }
    }
}
