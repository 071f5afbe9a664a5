//! What has passed already, so that `--full` goes on where it was interrupted.
//!
//! It counts only for the very same source: the commit and whatever was changed since.

use crate::setup::guests::sha256;
use crate::{paths, proc};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The names that passed.
#[derive(Default, Serialize, Deserialize)]
pub struct Done {
    source: String,
    passed: BTreeSet<String>,
    /// Where this is kept; nowhere for a run that always does everything.
    #[serde(skip)]
    file: Option<PathBuf>,
}

impl Done {
    /// What passed before with this source, if that is to be remembered.
    pub fn load(remembered: bool) -> Result<Self> {
        if !remembered {
            return Ok(Self::default());
        }
        let file = paths::work("test")?.join("full.json");
        let source = source()?;
        let before = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let passed = before.filter(|before| before.source == source).map(|before| before.passed).unwrap_or_default();
        Ok(Self { source, passed, file: Some(file) })
    }

    /// Whether it passed before.
    pub fn contains(&self, name: &str) -> bool {
        self.passed.contains(name)
    }

    /// Remembers that it passed. A file that cannot be written costs only the time to do it again.
    pub fn add(&mut self, name: &str) {
        self.passed.insert(name.to_owned());
        if let (Some(file), Ok(bytes)) = (&self.file, serde_json::to_vec_pretty(self)) {
            let _ = paths::write_whole(file, &bytes);
        }
    }
}

/// A name for the source as it is: commit, changes, and files that git does not know yet.
fn source() -> Result<String> {
    let git = |arguments: &[&str]| proc::output(Command::new("git").args(arguments).current_dir(paths::root()));
    let commit = git(&["rev-parse", "HEAD"])?;
    let mut state = git(&["diff", "HEAD"])?;
    for name in git(&["ls-files", "--others", "--exclude-standard"])?.lines() {
        state += &format!("{name} {}\n", sha256(&fs::read(paths::root().join(name)).unwrap_or_default()));
    }
    Ok(format!("{} {}", commit.trim(), &sha256(state.as_bytes())[..16]))
}
