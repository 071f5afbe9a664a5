//! The mutants as data: what each takes out of the source, and which tests are to notice.

use super::suite::Suite;
use crate::paths;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One edit of the source that a test has to notice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Unique: `commit/no-comparison`.
    pub name: String,
    /// The check of the protocol that it concerns, as the issue tracker and ARCHITECTURE.md call it.
    pub check: String,
    /// One sentence: what is no longer there.
    pub takes_out: String,
    /// The source file, from the root of the tree.
    pub file: PathBuf,
    /// The text that is replaced. It occurs exactly once in the file.
    pub find: String,
    /// What stands there instead.
    pub replace: String,
    /// Where the tests are that have to fail.
    pub suite: Suite,
    /// Parts of their names. None: any test of the suite may be the one.
    #[serde(default)]
    pub tests: Vec<String>,
    /// What it does is that a test does not end.
    #[serde(default)]
    pub hangs: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mutant: Vec<Mutant>,
}

impl Mutant {
    /// Whether a filter on the command line names it.
    pub fn is_meant_by(&self, filter: &str) -> bool {
        self.name.contains(filter) || self.check.contains(filter) || self.suite.name() == filter
    }

    /// The source with this mutant in it.
    pub fn applied(&self, text: &str) -> Result<String> {
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            many => anyhow::bail!("stale: its text is {many} times in {}", self.file.display()),
        }
    }

    #[cfg(test)]
    pub fn example(tests: &[&str]) -> Self {
        Self {
            name: "example/nothing".into(),
            check: "example".into(),
            takes_out: "nothing".into(),
            file: "a.rs".into(),
            find: "one".into(),
            replace: "two".into(),
            suite: Suite::Loom,
            tests: tests.iter().map(|test| (*test).to_owned()).collect(),
            hangs: false,
        }
    }
}

/// All mutants of a directory, in the order of its files' names.
pub fn read(directory: &Path) -> Result<Vec<Mutant>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(parse(&fs::read_to_string(&file)?).with_context(|| format!("in {}", file.display()))?);
    }
    check(&all)?;
    Ok(all)
}

/// A check of `scripts/test`: each mutant's text is in the source, so that whoever edits a check of the protocol learns of its mutant at once.
pub fn fit() -> Result<String> {
    let root = paths::root();
    let all = read(&root.join("tests/mutants"))?;
    for mutant in &all {
        let text = fs::read_to_string(root.join(&mutant.file)).unwrap_or_default();
        mutant.applied(&text).with_context(|| format!("{} in tests/mutants", mutant.name))?;
    }
    Ok(format!("{} mutants fit", all.len()))
}

fn parse(text: &str) -> Result<Vec<Mutant>> {
    Ok(toml::from_str::<File>(text)?.mutant)
}

fn check(all: &[Mutant]) -> Result<()> {
    let mut names = BTreeSet::new();
    for mutant in all {
        ensure!(names.insert(&mutant.name), "two mutants are called {}", mutant.name);
        ensure!(mutant.find != mutant.replace, "{} changes nothing", mutant.name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_there_once_is_replaced() {
        assert_eq!(Mutant::example(&[]).applied("zero one three").unwrap(), "zero two three");
    }

    #[test]
    fn a_text_that_is_not_there_or_there_twice_is_stale() {
        for text in ["", "one and one"] {
            let error = Mutant::example(&[]).applied(text).unwrap_err().to_string();
            assert!(error.starts_with("stale"), "{error}");
        }
    }

    #[test]
    fn a_list_is_read_and_unknown_words_in_it_are_refused() {
        let good =
            "[[mutant]]\nname='a/b'\ncheck='c'\ntakes_out='d'\nfile='e.rs'\nfind='x'\nreplace='y'\nsuite='machine'\n";
        let read = parse(good).unwrap();
        assert_eq!((read[0].suite, read[0].tests.len(), read[0].hangs), (Suite::Machine, 0, false));
        assert!(parse(&format!("{good}test='z'\n")).is_err());
    }

    #[test]
    fn names_are_unique_and_each_mutant_changes_something() {
        let one = Mutant::example(&[]);
        assert!(check(&[one.clone(), one.clone()]).is_err());
        assert!(check(&[Mutant { replace: one.find.clone(), ..one.clone() }]).is_err());
        assert!(check(&[one]).is_ok());
    }
}
