//! The hypervisor's log: bytes that QEMU writes to a file while it runs, decoded as they come.
//!
//! The log is defmt's: numbers on the wire, words in the ELF file. Only the very file that runs can decode it.

use super::records::{End, Record, Stats};
use anyhow::{Context, Result};
use defmt_decoder::{DecodeError, Frame, Locations, StreamDecoder, Table};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(20);

/// What a log held beside its lines.
#[derive(Debug, Default)]
pub struct Gathered {
    pub stats: Stats,
    pub end: Option<End>,
    /// Bytes that came at all: none at all means that the hypervisor never ran.
    pub bytes: usize,
}

/// The words of one build's log.
pub struct Words {
    table: Table,
    locations: Locations,
    root: PathBuf,
}

impl Words {
    /// Reads them from the ELF file that will run.
    pub fn read(elf: &[u8], root: &Path) -> Result<Self> {
        let table = Table::parse(elf)?.context("the hypervisor's ELF file has no .defmt section")?;
        let locations = table.get_locations(elf)?;
        Ok(Self { table, locations, root: root.into() })
    }

    /// Follows the file until `over` is set and nothing more comes; sets `ended` as soon as the log says how the run
    /// ended.
    pub fn follow(&self, raw: &Path, mut out: impl Write, over: &AtomicBool, ended: &AtomicBool) -> Result<Gathered> {
        let mut stream = self.table.new_stream_decoder();
        let mut gathered = Gathered::default();
        let mut file = loop {
            match File::open(raw) {
                Ok(file) => break file,
                Err(_) if over.load(Ordering::Acquire) => return Ok(gathered),
                Err(_) => thread::sleep(POLL),
            }
        };
        loop {
            let last = over.load(Ordering::Acquire);
            gathered.bytes += self.drain(&mut file, stream.as_mut(), &mut gathered, &mut out)?;
            ended.store(gathered.end.is_some(), Ordering::Release);
            if last {
                return Ok(gathered);
            }
            thread::sleep(POLL);
        }
    }

    /// Decodes what has come since the last look.
    fn drain(
        &self,
        file: &mut File,
        stream: &mut dyn StreamDecoder,
        gathered: &mut Gathered,
        out: &mut impl Write,
    ) -> Result<usize> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        stream.received(&bytes);
        loop {
            match stream.decode() {
                Ok(frame) => self.take(&frame, gathered, out)?,
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) => writeln!(out, "(a damaged record)")?,
            }
        }
        out.flush()?;
        Ok(bytes.len())
    }

    fn take(&self, frame: &Frame, gathered: &mut Gathered, out: &mut impl Write) -> io::Result<()> {
        let message = frame.display_message().to_string();
        match Record::parse(&message) {
            Some(Record::Stat(name, value)) => drop(gathered.stats.insert(name, value)),
            Some(Record::End(end)) => drop(gathered.end.get_or_insert(end)),
            None => self.line(frame, &message, out)?,
        }
        Ok(())
    }

    /// `  0.123456 INFO  message  (platform/src/boot.rs:42)`
    fn line(&self, frame: &Frame, message: &str, out: &mut impl Write) -> io::Result<()> {
        let time = frame.display_timestamp().map(|time| time.to_string()).unwrap_or_default();
        let level = frame.level().map_or("", |level| level.as_str()).to_uppercase();
        let place = self.locations.get(&frame.index()).map(|location| {
            let file = location.file.strip_prefix(&self.root).unwrap_or(&location.file);
            format!("  ({}:{})", file.display(), location.line)
        });
        writeln!(out, "{time:>12} {level:<5} {message}{}", place.unwrap_or_default())
    }
}
