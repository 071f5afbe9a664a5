//! The files of one run: its log as QEMU writes it and as people read it, and what only this run needs.

use super::args::RunArgs;
use crate::exit::bad_input;
use crate::paths;
use anyhow::Result;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// The files of one run.
pub struct Files {
    /// What QEMU writes.
    pub raw: PathBuf,
    /// What people read; none for standard error.
    pub text: Option<PathBuf>,
    /// Holds the raw bytes and whatever else only this run needs.
    dir: tempfile::TempDir,
}

impl Files {
    /// Lays them out as the options say.
    pub fn new(args: &RunArgs) -> Result<Self> {
        let dir = tempfile::tempdir_in(paths::work("runs")?)?;
        let text = match args.log.as_deref() {
            Some("-") => None,
            Some(path) => Some(path.into()),
            None => Some(paths::work("logs")?.join(default_name())),
        };
        Ok(Self { raw: dir.path().join("log.raw"), text, dir })
    }

    /// Where the log's text goes.
    pub fn sink(&self) -> Result<Box<dyn Write + Send>> {
        match &self.text {
            None => Ok(Box::new(std::io::stderr())),
            Some(path) => {
                let file =
                    File::create(path).map_err(|error| bad_input(format!("--log {}: {error}", path.display())))?;
                Ok(Box::new(file))
            }
        }
    }

    /// Writes a file that goes with the run.
    pub fn beside(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// Leaves everything there when this is dropped.
    pub fn keep(&mut self) {
        self.dir.disable_cleanup(true);
    }
}

fn default_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}.log", now.as_secs(), std::process::id())
}
