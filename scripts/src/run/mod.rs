//! `scripts/run`: one guest in one QEMU, from its files to the exit code.

pub mod args;
mod choices;
mod files;
mod input;
mod layout;
mod log;
mod monitor;
mod outcome;
mod records;
mod table;
mod terminal;

use crate::build::{self, Hypervisor};
use crate::exit::Code;
use crate::machine::Machine;
use crate::{paths, proc};
use anyhow::{Context, Result};
use args::RunArgs;
use files::Files;
use log::{Gathered, Words};
use outcome::Went;
use std::fs;
use std::io::{IsTerminal, stdin};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const BATCH_LIMIT: Duration = Duration::from_secs(600);
const INTERACTIVE_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long a machine that cannot switch itself off may print after its log said how the run ended.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A run whose files are all there.
pub struct Prepared {
    pub machine: Machine,
    /// What runs, in words.
    subject: String,
    /// The log of the hypervisor; none for a kernel that runs without it.
    logged: Option<Logged>,
}

struct Logged {
    words: Words,
    files: Files,
}

/// Runs a guest and tells how it ended.
pub fn run(args: &RunArgs) -> Result<Code> {
    let mut prepared = prepare(args)?;
    if args.dry_run {
        // What the command line names has to be there when it is pasted.
        prepared.logged.iter_mut().for_each(|logged| logged.files.keep());
        println!("{}", proc::shown(&prepared.machine.command()));
        return Ok(Code::PoweredOff);
    }
    announce(args, &prepared.subject);
    match &prepared.logged {
        Some(Logged { words, files }) => {
            let (went, gathered) = start_logged(&prepared.machine, args, words, files)?;
            report(args, files, went, &gathered)
        }
        None => {
            let (code, line) = outcome::judge_plain(start(&prepared.machine, args, || false)?);
            eprintln!("samewise: the guest {line}");
            Ok(code)
        }
    }
}

/// Checks what was asked for, builds, and lays out the machine.
pub fn prepare(args: &RunArgs) -> Result<Prepared> {
    args.check()?;
    if args.self_test {
        let (hypervisor, files) = (hypervisor(args)?, Files::new(args)?);
        let machine = layout::self_test(args, &hypervisor, &files)?;
        let subject = format!("self-test on {}, -smp {}", args.platform.name(), args.host_cpus);
        return Ok(Prepared { machine, subject, logged: Some(Logged::new(&hypervisor, files)?) });
    }
    let guest = input::prepare(args)?;
    let (memory, granule) = (layout::size(args.memory), args.granule.name());
    let place = if args.platform.is_bare_metal() { args.platform.name() } else { args.cpu().name() };
    let subject = format!(
        "{}{} on {place}{}, {memory}, granule {granule}",
        guest.name,
        several(args.cpus, "vCPUs"),
        several(args.host_cpus, "CPUs")
    );
    if args.plain {
        return Ok(Prepared { machine: layout::plain(args, &guest)?, subject, logged: None });
    }
    let (hypervisor, files) = (hypervisor(args)?, Files::new(args)?);
    let machine = layout::under_hypervisor(args, &guest, &hypervisor, &files)?;
    Ok(Prepared { machine, subject, logged: Some(Logged::new(&hypervisor, files)?) })
}

/// How many there are, where that is worth a word.
fn several(count: u32, what: &str) -> String {
    if count > 1 { format!(" with {count} {what}") } else { String::new() }
}

impl Logged {
    fn new(hypervisor: &Hypervisor, files: Files) -> Result<Self> {
        Ok(Self { words: Words::read(&hypervisor.elf, &paths::root())?, files })
    }
}

fn hypervisor(args: &RunArgs) -> Result<Hypervisor> {
    args.hypervisor.as_deref().map_or_else(build::hypervisor, Hypervisor::read)
}

fn announce(args: &RunArgs, subject: &str) {
    eprintln!("samewise: {subject}");
    if args.is_interactive() {
        eprintln!("samewise: leave with `poweroff` in the guest, or with Ctrl-A X");
    }
}

/// Starts QEMU and decodes its log beside it.
fn start_logged(machine: &Machine, args: &RunArgs, words: &Words, files: &Files) -> Result<(Went, Gathered)> {
    let (over, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let sink = files.sink()?;
    thread::scope(|scope| {
        let log = scope.spawn(|| words.follow(&files.raw, sink, &over, &ended));
        let went = start(machine, args, || ended.load(Ordering::Acquire));
        over.store(true, Ordering::Release);
        let gathered = log.join().map_err(|_| anyhow::anyhow!("the log's decoder panicked"))?;
        Ok((went?, gathered.context("cannot decode the log")?))
    })
}

/// Starts QEMU and waits for it, at most as long as was asked for. A machine that cannot switch itself off is ended when
/// what runs in it has `ended`.
fn start(machine: &Machine, args: &RunArgs, ended: impl Fn() -> bool) -> Result<Went> {
    let _restored = terminal::Terminal::remember();
    let limit = args.timeout.unwrap_or_else(|| default_limit(args));
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("monitor");
    let mut command = machine.command();
    monitor::offer(&mut command, &socket);
    command.stdin(if args.is_interactive() { Stdio::inherit() } else { Stdio::null() });
    let mut qemu =
        proc::spawn_bound(&mut command).with_context(|| format!("cannot start {}", machine.qemu.display()))?;
    let over = AtomicBool::new(false);
    let mut since = None;
    let mut last_words = || since.get_or_insert_with(Instant::now).elapsed() < LAST_WORDS;
    let wanted = || machine.switches_off() || !ended() || last_words();
    thread::scope(|scope| {
        let listener = scope.spawn(|| monitor::was_left(&socket, &over));
        let waited = proc::wait_while(&mut qemu, Instant::now() + limit, wanted);
        over.store(true, Ordering::Release);
        Ok(Went::of(waited?, listener.join().unwrap_or(false)))
    })
}

/// A person may take a day; what runs unattended must end.
fn default_limit(args: &RunArgs) -> Duration {
    match args.is_interactive() && stdin().is_terminal() {
        true => INTERACTIVE_LIMIT,
        false => BATCH_LIMIT,
    }
}

fn report(args: &RunArgs, files: &Files, went: Went, gathered: &Gathered) -> Result<Code> {
    let (code, line) = outcome::judge(went, gathered);
    eprint!("{}", table::render(&gathered.stats));
    if let Some(path) = &args.stats {
        fs::write(path, serde_json::to_vec_pretty(&gathered.stats)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(text) = &files.text {
        eprintln!("samewise: the hypervisor's log is in {}", text.display());
    }
    eprintln!("samewise: {line}");
    Ok(code)
}
