//! Lines to the hypervisor's terminal, sixteen bytes a call.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::hcall::{self, BUSY, CONFER, PUT_TERM_CHAR};

/// The terminal's unit address; 0 stands for the first one there is.
static TERMINAL: AtomicU64 = AtomicU64::new(0);

/// A terminal that stays full for so many calls is given up.
const PATIENCE: u32 = 100_000;

/// Uses this terminal from now on.
pub fn use_terminal(unit: u64) {
    TERMINAL.store(unit, Ordering::Relaxed);
}

struct Terminal;

impl Write for Terminal {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.as_bytes().chunks(16).for_each(put);
        Ok(())
    }
}

/// Sends up to 16 bytes: they travel in two registers, the first byte in the most significant place.
fn put(chunk: &[u8]) {
    let mut bytes = [0; 16];
    bytes[..chunk.len()].copy_from_slice(chunk);
    let packed = u128::from_be_bytes(bytes);
    let (high, low) = (half(packed >> 64), half(packed));
    let args = [TERMINAL.load(Ordering::Relaxed), chunk.len() as u64, high, low];
    for _ in 0..PATIENCE {
        if hcall::call(PUT_TERM_CHAR, &args).code != BUSY {
            break;
        }
    }
}

/// The low 64 bits, meant so.
#[allow(clippy::cast_possible_truncation)]
fn half(value: u128) -> u64 {
    value as u64
}

/// A vCPU is in the middle of a line.
static BUSY_PRINTING: AtomicBool = AtomicBool::new(false);

/// Prints one line. A vCPU that died in the middle of its line does not keep the others from theirs.
pub fn print(text: fmt::Arguments) {
    for _ in (0..PATIENCE).take_while(|_| BUSY_PRINTING.swap(true, Ordering::Acquire)) {
        hcall::call(CONFER, &[u64::MAX]);
    }
    let _ = Terminal.write_fmt(text);
    let _ = Terminal.write_str("\r\n");
    BUSY_PRINTING.store(false, Ordering::Release);
}

/// `println!` for a guest.
macro_rules! say {
    ($($piece:tt)*) => { $crate::console::print(format_args!($($piece)*)) };
}
pub(crate) use say;
