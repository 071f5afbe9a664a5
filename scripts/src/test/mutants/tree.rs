//! A copy of the source in which mutants are made, so that the tree itself is never touched.
//!
//! Only files that differ are written: those that stay keep their times, and cargo builds little.

use super::list::Mutant;
use crate::{paths, proc};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The copy.
pub struct Tree {
    root: PathBuf,
}

/// A mutant stands in the copy until this goes.
pub struct Mutated {
    file: PathBuf,
    original: String,
}

impl Tree {
    /// Brings the copy in line with the tree: what git tracks or would track, as it is now, committed or not.
    pub fn copy() -> Result<Self> {
        let root = paths::work("mutants")?.join("tree");
        let listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let names = proc::output(Command::new("git").args(listed).current_dir(paths::root()))?;
        let names: BTreeSet<&Path> = names.split_terminator('\0').map(Path::new).collect();
        let before = kept(&root)?;
        for gone in before.iter().filter(|name| !names.contains(name.as_path())) {
            fs::remove_file(root.join(gone))?;
        }
        for name in names {
            copy_one(&paths::root().join(name), &root.join(name))?;
        }
        Ok(Self { root })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes a mutant.
    pub fn with(&self, mutant: &Mutant) -> Result<Mutated> {
        let file = self.root.join(&mutant.file);
        let original = fs::read_to_string(&file).with_context(|| format!("stale: no {}", mutant.file.display()))?;
        fs::write(&file, mutant.applied(&original)?)?;
        Ok(Mutated { file, original })
    }
}

impl Drop for Mutated {
    fn drop(&mut self) {
        // If this fails, the next run's copy puts it right.
        let _ = fs::write(&self.file, &self.original);
    }
}

/// A file that git tracks and somebody deleted is left out.
fn copy_one(from: &Path, to: &Path) -> Result<()> {
    let Ok(bytes) = fs::read(from) else { return Ok(()) };
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))
}

/// The files of a copy that was made before, by their names in it.
fn kept(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => open.push(entry.path()),
                false => found.push(entry.path().strip_prefix(root)?.to_path_buf()),
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> (tempfile::TempDir, Tree) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.rs"), text).unwrap();
        let root = directory.path().to_path_buf();
        (directory, Tree { root })
    }

    #[test]
    fn a_mutant_stands_in_the_copy_and_is_gone_afterwards() {
        let (_kept, tree) = tree("zero one three");
        let now = || fs::read_to_string(tree.root.join("a.rs")).unwrap();
        let mutated = tree.with(&Mutant::example(&[])).unwrap();
        assert_eq!(now(), "zero two three");
        drop(mutated);
        assert_eq!(now(), "zero one three");
    }

    #[test]
    fn a_stale_mutant_changes_nothing() {
        let (_kept, tree) = tree("zero");
        assert!(tree.with(&Mutant::example(&[])).is_err());
        assert_eq!(fs::read_to_string(tree.root.join("a.rs")).unwrap(), "zero");
    }

    #[test]
    fn a_file_that_is_the_same_is_not_written_again() {
        let (_kept, tree) = tree("zero");
        let (from, to) = (tree.root.join("a.rs"), tree.root.join("b/c.rs"));
        copy_one(&from, &to).unwrap();
        let written = || fs::metadata(&to).unwrap().modified().unwrap();
        let first = written();
        copy_one(&from, &to).unwrap();
        assert_eq!(written(), first);
        assert_eq!(kept(&tree.root).unwrap().len(), 2);
    }
}
