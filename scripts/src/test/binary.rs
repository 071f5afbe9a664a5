//! Checks of the hypervisor's binary: what instructions it is made of, and how large it is.

use super::{Check, disassembly};
use crate::image::flat;
use crate::{build, proc, setup};
use anyhow::{Result, ensure};
use std::process::Command;

/// Text and data must stay below this: both platforms are in it, the run loop twice (radix and hash guests, so that neither asks at a fault which it is), and the self-test with its drivers, which no
/// guest's run touches.
const LIMIT: u64 = 640 << 10;

/// Both.
pub fn checks() -> Vec<Check> {
    vec![Check::new("binary/no-fp-or-vector", no_fp_or_vector), Check::new("binary/size", size)]
}

/// The guest's FP, VMX and VSX registers stay in the processor while the hypervisor runs: it must not touch them.
fn no_fp_or_vector() -> Result<String> {
    let elf = build::hypervisor()?.elf_path;
    let listing = proc::output(Command::new(setup::objdump()?).args(["-d", "--no-show-raw-insn"]).arg(elf))?;
    let (instructions, found) = disassembly::scan(&listing);
    ensure!(instructions > 0, "objdump found no instructions");
    ensure!(
        found.is_empty(),
        "{} instructions use FP or vector registers:\n{}",
        found.len(),
        found[..found.len().min(20)].join("\n")
    );
    Ok(format!("none among {instructions} instructions"))
}

fn size() -> Result<String> {
    let size = flat::text_and_data(&build::hypervisor()?.elf)?;
    ensure!(size < LIMIT, "text+data are {size} bytes, the limit is {LIMIT}");
    Ok(format!("text+data are {size} bytes"))
}
