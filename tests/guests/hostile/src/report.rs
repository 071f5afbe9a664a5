//! What the cases say, and how often.

use core::fmt::{self, Write};

use crate::console::say;
use crate::machine::Machine;

/// Longer reasons lose their end.
const ROOM: usize = 160;

/// Why a case failed, in words.
pub struct Why {
    bytes: [u8; ROOM],
    length: usize,
}

impl Why {
    /// Keeps the words.
    pub fn new(text: fmt::Arguments) -> Self {
        let mut why = Self { bytes: [0; ROOM], length: 0 };
        let _ = why.write_fmt(text);
        why
    }
}

impl Write for Why {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes().iter().filter(|byte| byte.is_ascii()) {
            if self.length < ROOM {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(core::str::from_utf8(&self.bytes[..self.length]).unwrap_or("?"))
    }
}

/// What a case returns.
pub type Verdict = Result<(), Why>;

/// An early return with a reason.
macro_rules! fail {
    ($($piece:tt)*) => { return Err($crate::report::Why::new(format_args!($($piece)*))) };
}
pub(crate) use fail;

/// One thing that the guest tries.
pub struct Case {
    /// Its name on the line it prints.
    pub name: &'static str,
    /// What it does.
    pub check: fn(&Machine) -> Verdict,
    /// Why plain QEMU answers otherwise, if it does.
    pub plain: Option<&'static str>,
}

impl Case {
    /// A case that every hypervisor passes.
    pub const fn new(name: &'static str, check: fn(&Machine) -> Verdict) -> Self {
        Self { name, check, plain: None }
    }

    /// The same, where QEMU as hypervisor is known to be lax.
    pub const fn lax_in_qemu(self, reason: &'static str) -> Self {
        Self { plain: Some(reason), ..self }
    }
}

/// The sums at the end.
#[derive(Default)]
pub struct Report {
    /// Cases that went as the architecture says.
    pub passed: u32,
    /// The others.
    pub failed: u32,
}

impl Report {
    /// Runs one case and prints its line.
    pub fn run(&mut self, case: &Case, machine: &Machine) {
        match ((case.check)(machine), case.plain.filter(|_| machine.plain)) {
            (Ok(()), _) => self.pass(case.name),
            (Err(why), Some(reason)) => say!("hostile: {} differs: {reason}; {why}", case.name),
            (Err(why), None) => self.fail(case.name, &why),
        }
    }

    fn pass(&mut self, name: &str) {
        self.passed += 1;
        say!("hostile: {name} ok");
    }

    fn fail(&mut self, name: &str, why: &Why) {
        self.failed += 1;
        say!("hostile: {name} FAIL {why}");
    }
}
