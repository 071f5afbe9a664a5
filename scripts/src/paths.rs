//! Where things live: the tree, the user's cache, and what a build leaves behind.

use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The top of the source tree: told by the wrapper script, else where this tool was compiled.
pub fn root() -> PathBuf {
    match env::var_os("SAMEWISE_ROOT") {
        Some(root) => root.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("scripts/ has a parent").into(),
    }
}

/// Cargo's target directory for this tree.
pub fn target() -> PathBuf {
    let named = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(named)
}

/// A directory under `target` for what this tool generates.
pub fn work(name: &str) -> Result<PathBuf> {
    made(target().join("samewise").join(name))
}

/// A directory in the user's cache (XDG), which a clean clone shares with the one before it.
pub fn cache(name: &str) -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| env::home_dir().map(|home| home.join(".cache")));
    made(base.context("neither XDG_CACHE_HOME nor a home directory is known")?.join("samewise").join(name))
}

/// Creates a directory and gives its path back.
pub fn made(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Writes a file so that it appears whole or not at all, even when two runs write it at once.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().context("a file needs a directory")?;
    let mut file =
        tempfile::NamedTempFile::new_in(dir).with_context(|| format!("cannot write in {}", dir.display()))?;
    file.write_all(bytes)?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
