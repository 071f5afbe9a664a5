//! Archives in cpio's newc format, as Linux unpacks them and as firmware hands them on.

use anyhow::{Context, Result};
use cpio::newc::{self, Builder, ModeFileType};
use std::io::Write;

/// The console that the kernel opens for the first process: character device 5, 1.
const CONSOLE: (u32, u32) = (5, 1);
/// The format pads names and contents to this.
const PAD: usize = 4;
const HEADER: usize = 110;

/// An archive being written.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    /// Adds a directory.
    pub fn directory(&mut self, name: &str) -> Result<()> {
        self.entry(Builder::new(name).set_mode_file_type(ModeFileType::Directory).mode(0o040_755), &[])
    }

    /// Adds a file that may be executed.
    pub fn program(&mut self, name: &str, contents: &[u8]) -> Result<()> {
        self.entry(Builder::new(name).mode(0o100_755), contents)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, name: &str, target: &str) -> Result<()> {
        self.entry(Builder::new(name).mode(0o120_777), target.as_bytes())
    }

    /// Adds the console's device node.
    pub fn console(&mut self, name: &str) -> Result<()> {
        self.entry(Builder::new(name).mode(0o020_600).rdev_major(CONSOLE.0).rdev_minor(CONSOLE.1), &[])
    }

    /// Adds a file whose contents start at a multiple of `align` within the archive.
    pub fn aligned(&mut self, name: &str, contents: &[u8], align: usize) -> Result<()> {
        let start = contents_start(self.bytes.len(), name);
        if !start.is_multiple_of(align) {
            let before = contents_start(self.bytes.len(), FILLER);
            let wanted = contents_start(before, name).next_multiple_of(align) - contents_start(before, name);
            self.entry(Builder::new(FILLER).mode(0o100_644), &vec![0; wanted])?;
        }
        self.entry(Builder::new(name).mode(0o100_644), contents)
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(newc::trailer(self.bytes)?)
    }

    fn entry(&mut self, builder: Builder, contents: &[u8]) -> Result<()> {
        let size = u32::try_from(contents.len()).context("a file of 4 GiB or more does not fit into a cpio archive")?;
        let mut writer = builder.nlink(1).write(std::mem::take(&mut self.bytes), size);
        writer.write_all(contents)?;
        self.bytes = writer.finish()?;
        Ok(())
    }
}

/// What alignment is made of: an entry that readers pass over.
const FILLER: &str = ".pad";

/// Where the contents of an entry named `name` start if its header starts at `at`.
fn contents_start(at: usize, name: &str) -> usize {
    (at + HEADER + name.len() + 1).next_multiple_of(PAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(bytes: &[u8]) -> Vec<(String, u32, u32)> {
        let mut rest = bytes;
        let mut found = vec![];
        loop {
            let reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                return found;
            }
            let entry = reader.entry();
            found.push((entry.name().to_owned(), entry.mode(), entry.file_size()));
            rest = reader.finish().unwrap();
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mut archive = Archive::default();
        archive.directory("dev").unwrap();
        archive.console("dev/console").unwrap();
        archive.program("init", b"#!").unwrap();
        archive.link("sh", "busybox").unwrap();
        let found = entries(&archive.finish().unwrap());
        let modes: Vec<_> = found.iter().map(|(name, mode, size)| (name.as_str(), *mode, *size)).collect();
        let expected =
            [("dev", 0o040_755, 0), ("dev/console", 0o020_600, 0), ("init", 0o100_755, 2), ("sh", 0o120_777, 7)];
        assert_eq!(modes, expected);
    }

    #[test]
    fn aligned_contents_start_where_they_were_asked_to() {
        for first in [0, 1, 65_000, 65_536, 70_001] {
            let mut archive = Archive::default();
            archive.aligned("kernel", &vec![0xAA; first], 1 << 16).unwrap();
            archive.aligned("initrd", b"MARK", 1 << 16).unwrap();
            let bytes = archive.finish().unwrap();
            let mark = bytes.windows(4).position(|window| window == b"MARK").unwrap();
            assert_eq!(mark % (1 << 16), 0);
            assert_eq!(entries(&bytes).iter().filter(|(name, ..)| name != FILLER).count(), 2);
        }
    }
}
