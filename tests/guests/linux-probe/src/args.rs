//! The command line, and the numbers and sizes on it.

use core::ffi::{CStr, c_char};

/// The argument strings of the process.
pub struct Args {
    count: usize,
    strings: *const *const c_char,
}

impl Args {
    /// Finds argc and argv.
    ///
    /// # Safety
    /// `stack` must be the stack pointer with which the kernel entered the process.
    pub unsafe fn from_stack(stack: *const usize) -> Self {
        // SAFETY: 1. The caller says so: argc is the first doubleword, argv follows it.
        let (count, strings) = unsafe { (stack.read(), stack.add(1)) };
        Self { count, strings: strings.cast() }
    }

    /// Argument `n`, the program's name being 0.
    pub fn get(&self, n: usize) -> Option<&[u8]> {
        if n >= self.count {
            return None;
        }
        // SAFETY: 1. argv has argc entries, each a terminated string that lives as long as the process.
        Some(unsafe { CStr::from_ptr(*self.strings.add(n)) }.to_bytes())
    }
}

/// A decimal number without sign; nothing if it is none or too large.
pub fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.checked_sub(b'0').filter(|&d| d <= 9)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// How much memory to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many bytes.
    Bytes(u64),
    /// A share of the machine's memory, at most 100.
    Percent(u64),
}

/// Understands `4096`, `64K`, `10M`, `2G` and `75%`.
pub fn amount(text: &[u8]) -> Option<Amount> {
    let (last, rest) = text.split_last()?;
    let scaled = |shift: u32| number(rest)?.checked_mul(1 << shift).map(Amount::Bytes);
    match last {
        b'%' => number(rest).filter(|&p| p <= 100).map(Amount::Percent),
        b'K' => scaled(10),
        b'M' => scaled(20),
        b'G' => scaled(30),
        _ => number(text).map(Amount::Bytes),
    }
}
