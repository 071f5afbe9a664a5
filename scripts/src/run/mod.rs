//! `scripts/run`: one guest in one QEMU, from its files to the exit code.

pub mod args;
mod input;
mod log;
mod monitor;
mod outcome;
mod records;
mod table;
mod terminal;

use crate::build::{self, Hypervisor};
use crate::exit::{Code, bad_input};
use crate::image::bundle;
use crate::machine::{Boot, Machine};
use crate::{paths, proc, setup};
use anyhow::{Context, Result};
use args::{Firmware, RunArgs};
use input::Guest;
use log::{Gathered, Words};
use outcome::Went;
use std::fs::{self, File};
use std::io::{IsTerminal, Write, stdin};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const BATCH_LIMIT: Duration = Duration::from_secs(600);
const INTERACTIVE_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A run whose files are all there.
pub struct Prepared {
    pub machine: Machine,
    guest: Guest,
    /// The log of the hypervisor; none for a kernel that runs without it.
    logged: Option<Logged>,
}

struct Logged {
    words: Words,
    files: LogFiles,
}

/// Runs a guest and tells how it ended.
pub fn run(args: &RunArgs) -> Result<Code> {
    let mut prepared = prepare(args)?;
    if args.dry_run {
        // What the command line names has to be there when it is pasted.
        prepared.logged.iter_mut().for_each(|logged| logged.files.dir.disable_cleanup(true));
        println!("{}", proc::shown(&prepared.machine.command()));
        return Ok(Code::PoweredOff);
    }
    announce(args, &prepared.guest);
    match &prepared.logged {
        Some(Logged { words, files }) => {
            let (went, gathered) = start_logged(&prepared.machine, args, words, files)?;
            report(args, files, went, &gathered)
        }
        None => {
            let (code, line) = outcome::judge_plain(start(&prepared.machine, args)?);
            eprintln!("samewise: the guest {line}");
            Ok(code)
        }
    }
}

/// Checks what was asked for, builds, and lays out the machine.
pub fn prepare(args: &RunArgs) -> Result<Prepared> {
    args.refuse_later_features()?;
    let guest = input::prepare(args)?;
    if args.plain {
        let boot = if args.firmware == Some(Firmware::Slof) { Boot::Slof } else { Boot::Vof };
        let machine = Machine { memory: args.memory, ..machine(args, &guest, boot, None)? };
        return Ok(Prepared { machine, guest, logged: None });
    }
    let hypervisor = args.hypervisor.as_deref().map_or_else(build::hypervisor, Hypervisor::read)?;
    let files = LogFiles::new(args)?;
    let machine = under_hypervisor(args, &guest, &hypervisor, &files)?;
    let words = Words::read(&hypervisor.elf, &paths::root())?;
    Ok(Prepared { machine, guest, logged: Some(Logged { words, files }) })
}

fn under_hypervisor(args: &RunArgs, guest: &Guest, hypervisor: &Hypervisor, files: &LogFiles) -> Result<Machine> {
    let boot = match guest.firmware {
        Firmware::Bios => Boot::Bios(hypervisor.flat()?),
        Firmware::Vof => Boot::Vof,
        Firmware::Slof => Boot::Slof,
    };
    let bundled = guest.firmware != Firmware::Bios;
    let mut machine = machine(args, guest, boot, Some(files.raw.clone()))?;
    let (memory, granule) = (size(args.memory), args.granule.name());
    let budget = args.budget.map_or(String::new(), |bytes| format!(" samewise.budget={}", size(bytes)));
    machine.append = format!("samewise.memory={memory} samewise.granule={granule}{budget} {}", machine.append);
    if bundled {
        machine.kernel = hypervisor.kept_elf()?;
        machine.initrd =
            files.beside("bundle", &bundle::pack(&fs::read(&guest.kernel)?, &fs::read(&guest.initrd)?)?)?;
    }
    Ok(machine)
}

fn machine(args: &RunArgs, guest: &Guest, boot: Boot, log: Option<PathBuf>) -> Result<Machine> {
    let append = ["console=hvc0"].into_iter().chain(args.append.as_deref()).collect::<Vec<_>>().join(" ");
    Ok(Machine {
        qemu: setup::qemu()?,
        cpu: args.cpu.name(),
        memory: guest.machine_memory,
        boot,
        kernel: guest.kernel.clone(),
        initrd: guest.initrd.clone(),
        append,
        log,
        gdb: args.gdb,
        icount: args.icount,
        extra: args.qemu_arg.clone(),
    })
}

fn announce(args: &RunArgs, guest: &Guest) {
    let (cpu, memory, granule) = (args.cpu.name(), size(args.memory), args.granule.name());
    eprintln!("samewise: {} on {cpu}, {memory}, granule {granule}", guest.name);
    if args.is_interactive() {
        eprintln!("samewise: leave with `poweroff` in the guest, or with Ctrl-A X");
    }
}

/// Starts QEMU and decodes its log beside it.
fn start_logged(machine: &Machine, args: &RunArgs, words: &Words, files: &LogFiles) -> Result<(Went, Gathered)> {
    let over = AtomicBool::new(false);
    let sink = files.sink()?;
    thread::scope(|scope| {
        let log = scope.spawn(|| words.follow(&files.raw, sink, &over));
        let went = start(machine, args);
        over.store(true, Ordering::Release);
        let gathered = log.join().map_err(|_| anyhow::anyhow!("the log's decoder panicked"))?;
        Ok((went?, gathered.context("cannot decode the log")?))
    })
}

/// Starts QEMU and waits for it, at most as long as was asked for.
fn start(machine: &Machine, args: &RunArgs) -> Result<Went> {
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
    thread::scope(|scope| {
        let listener = scope.spawn(|| monitor::was_left(&socket, &over));
        let status = proc::wait_until(&mut qemu, Instant::now() + limit);
        over.store(true, Ordering::Release);
        Ok(Went::of(status?, listener.join().unwrap_or(false)))
    })
}

/// A person may take a day; what runs unattended must end.
fn default_limit(args: &RunArgs) -> Duration {
    match args.is_interactive() && stdin().is_terminal() {
        true => INTERACTIVE_LIMIT,
        false => BATCH_LIMIT,
    }
}

fn report(args: &RunArgs, files: &LogFiles, went: Went, gathered: &Gathered) -> Result<Code> {
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

/// The files of one run's log.
struct LogFiles {
    /// What QEMU writes.
    raw: PathBuf,
    /// What people read; none for standard error.
    text: Option<PathBuf>,
    /// Holds the raw bytes and whatever else only this run needs.
    dir: tempfile::TempDir,
}

impl LogFiles {
    fn new(args: &RunArgs) -> Result<Self> {
        let dir = tempfile::tempdir_in(paths::work("runs")?)?;
        let text = match args.log.as_deref() {
            Some("-") => None,
            Some(path) => Some(path.into()),
            None => Some(paths::work("logs")?.join(default_name())),
        };
        Ok(Self { raw: dir.path().join("log.raw"), text, dir })
    }

    fn sink(&self) -> Result<Box<dyn Write + Send>> {
        match &self.text {
            None => Ok(Box::new(std::io::stderr())),
            Some(path) => {
                let file =
                    File::create(path).map_err(|error| bad_input(format!("--log {}: {error}", path.display())))?;
                Ok(Box::new(file))
            }
        }
    }

    fn beside(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes)?;
        Ok(path)
    }
}

fn default_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}.log", now.as_secs(), std::process::id())
}

/// A size as the hypervisor reads it: the largest unit that divides it.
fn size(bytes: u64) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    let fits = units.iter().find(|(shift, _)| bytes.is_multiple_of(1 << shift));
    fits.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_largest_unit_that_divides_them() {
        assert_eq!(size(1 << 30), "1G");
        assert_eq!(size(1536 << 20), "1536M");
        assert_eq!(size(1025), "1025");
    }
}
