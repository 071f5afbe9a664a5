//! Input that cannot work. The tool says what is wrong with it before anything starts; and what passes by the tool is
//! refused by the hypervisor itself, in words and without a hang.

use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Both kinds.
pub fn cases() -> Vec<Case> {
    let tool = TOOL
        .iter()
        .map(|bad| Case::new(format!("bad-input/tool/{}", bad.name), |setting| refused_by_tool(setting, bad)));
    let below = HYPERVISOR.iter().map(|bad| {
        Case::new(format!("bad-input/hypervisor/{}", bad.name), |setting| refused_by_hypervisor(setting, bad))
    });
    tool.chain(below).collect()
}

/// Options that cannot work, and words of the message about them: the tool's on standard error, the hypervisor's on the
/// guest's console. `@name` stands for a file of that kind.
struct Bad {
    name: &'static str,
    options: &'static [&'static str],
    says: &'static str,
}

const TOOL: &[Bad] = &[
    Bad { name: "missing-kernel", options: &["--kernel", "no-such-kernel"], says: "no-such-kernel is neither a file" },
    Bad { name: "x86-kernel", options: &["--kernel", "@foreign"], says: "is an ELF file for" },
    Bad { name: "truncated-kernel", options: &["--kernel", "@truncated"], says: "truncated" },
    Bad { name: "empty-kernel", options: &["--kernel", "@empty"], says: "is empty" },
    Bad { name: "raw-kernel-as-bios", options: &["--kernel", "@raw", "--firmware", "bios"], says: "is a raw image" },
    Bad { name: "missing-initrd", options: &["--initrd", "no-such-initrd"], says: "initrd no-such-initrd" },
    Bad { name: "empty-initrd", options: &["--initrd", "@empty"], says: "is empty" },
    Bad { name: "initrd-beyond-memory", options: &["--initrd", "@large", "--memory", "192M"], says: "does not fit" },
    Bad { name: "little-memory", options: &["--memory", "64M"], says: "too small: this guest needs at least" },
    Bad { name: "much-memory", options: &["--memory", "1000000G"], says: "too large for this host" },
    Bad { name: "odd-memory", options: &["--memory", "1000001K"], says: "multiple of 64 KiB" },
    Bad { name: "size-no-number", options: &["--memory", "much"], says: "--memory" },
    Bad { name: "unknown-granule", options: &["--granule", "3k"], says: "--granule" },
    Bad { name: "batch-with-initrd", options: &["--batch", "ls", "--initrd", "@raw"], says: "cannot be used with" },
    Bad { name: "hash-on-pseries", options: &["--mmu", "hash"], says: "nested ones, and those are radix only" },
    Bad { name: "hpt-of-radix", options: &["--hpt-size", "16M"], says: "give --mmu hash" },
    Bad { name: "hpt-size", options: &["--mmu", "hash", "--hpt-size", "3M"], says: "a power of two from 256K to 16G" },
    Bad { name: "nine-cpus", options: &["--cpus", "9"], says: "--cpus" },
    Bad { name: "much-host-memory", options: &["--host-memory", "1000000G"], says: "too large for this host" },
    Bad { name: "little-host-memory", options: &[POWERNV10, "--host-memory", "1M"], says: "at least 1024 MiB" },
    Bad { name: "odd-host-memory", options: &["--host-memory", "1025K"], says: "give whole MiB" },
    Bad { name: "plain-host-memory", options: &["--plain", "--host-memory", "2G"], says: "give --memory" },
    Bad { name: "plain-host-cpus", options: &["--plain", "--host-cpus", "2"], says: "give --cpus" },
    Bad {
        name: "bare-host-cpus",
        options: &[POWERNV10, "--firmware=bare", "--host-cpus=2"],
        says: "only firmware starts more than one CPU",
    },
    Bad { name: "powernv9-as-power10", options: &[POWERNV9, "--cpu=power10"], says: "is a machine with power9" },
    Bad { name: "powernv10-as-power9", options: &[POWERNV10, "--cpu=power9"], says: "is a machine with power10" },
    Bad { name: "powernv-with-slof", options: &[POWERNV10, "--firmware=slof"], says: "give skiboot or bare" },
    Bad { name: "pseries-with-skiboot", options: &["--firmware=skiboot"], says: "give bios, vof or slof" },
    Bad { name: "bare-and-plain", options: &[POWERNV9, "--firmware=bare", "--plain"], says: "needs skiboot" },
    Bad { name: "large-bundle", options: &[POWERNV10, "--initrd", "@large"], says: "loads at most 128 MiB" },
    Bad { name: "plain-little-memory", options: &[POWERNV10, "--plain", "--memory=512M"], says: "at least 1024 MiB" },
    Bad { name: "self-test-on-pseries", options: &["--self-test"], says: "give a powernv machine" },
    Bad { name: "self-test-with-guest", options: &["--self-test", "--batch", "ls"], says: "cannot be used with" },
    Bad { name: "self-test-nine-cpus", options: &["--self-test", "--host-cpus=9"], says: "--host-cpus" },
    Bad { name: "self-test-guest-cpus", options: &["--self-test", "--cpus=2"], says: "cannot be used with" },
    Bad { name: "guest-on-rainier", options: &["--platform=powernv10-rainier"], says: "for --self-test only" },
];

const POWERNV9: &str = "--platform=powernv9";
const POWERNV10: &str = "--platform=powernv10";

const HYPERVISOR: &[Bad] = &[
    Bad { name: "x86-kernel", options: &["--kernel", "@foreign", "--firmware", "vof"], says: "is not for PowerPC" },
    Bad { name: "truncated-kernel", options: &["--kernel", "@truncated", "--firmware", "vof"], says: "ends before" },
    Bad { name: "empty-kernel", options: &["--kernel", "@empty", "--firmware", "vof"], says: "is empty" },
    Bad { name: "memory-beyond-machine", options: &["--host-memory", "512M"], says: "the guest wants 1024 MiB" },
    Bad { name: "memory-no-size", options: &["--append", "samewise.memory=much"], says: "samewise.memory=much" },
    Bad { name: "unknown-granule", options: &["--append", "samewise.granule=3k"], says: "samewise.granule=3k" },
    Bad { name: "nine-cpus", options: &["--append", "samewise.cpus=9"], says: "samewise.cpus=9" },
    Bad { name: "neither-on-nor-off", options: &["--append", "samewise.bench=maybe"], says: "samewise.bench=maybe" },
    Bad { name: "hash-on-pseries", options: &["--append", "samewise.mmu=hash"], says: "those are radix only" },
    Bad {
        name: "mixed-twins-on-pseries",
        options: &["--append", "samewise.twins=mixed"],
        says: "samewise.twins=mixed): a guest in a partition is a nested one",
    },
    Bad { name: "twins", options: &["--append", "samewise.twins=two"], says: "twins are on, mixed or off" },
    Bad { name: "hpt-size", options: &["--append", "samewise.hpt-size=3M"], says: "a power of two from 256K to 16G" },
    Bad { name: "no-nested-hv", options: NO_NESTED, says: "offers no nested virtualization" },
];

const NO_NESTED: &[&str] = &["--qemu-arg=-M", "--qemu-arg=cap-nested-hv=off"];

fn refused_by_tool(setting: &Setting, bad: &Bad) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let options = resolved(setting, dir.path(), bad.options)?;
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    run(setting, &options)?.with_code(2)?.complaining(bad.says)?;
    Ok("refused with exit code 2".into())
}

fn refused_by_hypervisor(setting: &Setting, bad: &Bad) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let options = resolved(setting, dir.path(), bad.options)?;
    let options: Vec<_> = options.iter().map(String::as_str).chain(["--unchecked", "--timeout", "60"]).collect();
    let ended = run(setting, &options)?.with_code(13)?.printing(bad.says)?;
    let said = ended.console.lines().find(|line| line.contains(bad.says)).unwrap_or_default();
    Ok(said.trim().trim_start_matches("samewise: ").to_owned())
}

fn resolved(setting: &Setting, dir: &Path, options: &[&str]) -> Result<Vec<String>> {
    let resolve = |option: &&str| match option.strip_prefix('@') {
        Some(kind) => Ok(text(&file(setting, dir, kind)?)?.to_owned()),
        None => Ok((*option).to_owned()),
    };
    options.iter().map(resolve).collect()
}

/// Makes a file of a kind.
fn file(setting: &Setting, dir: &Path, kind: &str) -> Result<PathBuf> {
    let path = dir.join(kind);
    match kind {
        // The tool itself is a program for the host.
        "foreign" => drop(fs::copy(&setting.tool, &path)?),
        "truncated" => fs::write(&path, truncated(&fs::read(&setting.probe)?))?,
        "large" => fs::File::create(&path)?.set_len(256 << 20)?,
        "raw" => fs::write(&path, [0x60; 4096])?,
        _ => fs::write(&path, [])?,
    }
    Ok(path)
}

/// Enough for the headers, not enough for what they promise.
fn truncated(elf: &[u8]) -> &[u8] {
    &elf[..elf.len().min(512)]
}
