//! Memory to be tested: mapped, written everywhere, and only then read back, so that the first page is long out of every cache when it is
//! looked at again.

use crate::args::{self, Amount};
use crate::{meminfo, out::say, sys};

/// Sizes are rounded down to the largest page of the kernels that are tested.
const PAGE: u64 = 64 << 10;

/// Mapped memory of this program's own.
pub struct Region {
    start: *mut u64,
    bytes: usize,
}

/// Why there is no good result.
pub enum Failure {
    /// No amount of memory was understood.
    Usage,
    /// /proc/meminfo could not be read or understood.
    NoMeminfo,
    /// Asking for so much would make the kernel kill processes.
    TooMuch { wanted: u64, available: u64 },
    /// Nothing to test.
    Nothing,
    /// The kernel refused the mapping.
    Map(sys::Errno),
    /// A doubleword is not what was written.
    Differs { offset: usize, found: u64, expected: u64 },
}

impl Failure {
    /// Says it, as the command called `name`.
    pub fn report(&self, name: &str) {
        match *self {
            Self::Usage => say!("{name} FAIL: no amount of memory"),
            Self::NoMeminfo => say!("{name} FAIL: /proc/meminfo is not readable"),
            Self::TooMuch { wanted, available } => {
                say!("{name} FAIL: {wanted} bytes wanted, {available} available");
            }
            Self::Nothing => say!("{name} FAIL: less than one page asked for"),
            Self::Map(errno) => say!("{name} FAIL: mmap errno {}", errno.0),
            Self::Differs { offset, found, expected } => {
                say!("{name} FAIL at {offset:#x}: {found:#018x}, expected {expected:#018x}");
            }
        }
    }
}

impl Region {
    /// Maps the amount that `text` names, if the kernel can spare it together with the tables that map it.
    pub fn map(text: &[u8]) -> Result<Self, Failure> {
        let bytes = wanted(args::amount(text).ok_or(Failure::Usage)?)?;
        let start = sys::memory::map(bytes).map_err(Failure::Map)?;
        Ok(Self { start, bytes })
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes every doubleword: `word` says what stands at each index.
    pub fn fill(&mut self, word: impl Fn(usize) -> u64) {
        for index in 0..self.bytes / 8 {
            // SAFETY: 1. `index` is inside what was mapped. 2. Volatile: the compiler must not see that the value is known.
            unsafe { self.start.add(index).write_volatile(word(index)) };
        }
    }

    /// Reads every doubleword back.
    pub fn verify(&self, word: impl Fn(usize) -> u64) -> Result<(), Failure> {
        for index in 0..self.bytes / 8 {
            // SAFETY: 1. As above.
            let found = unsafe { self.start.add(index).read_volatile() };
            let expected = word(index);
            if found != expected {
                return Err(Failure::Differs { offset: index * 8, found, expected });
            }
        }
        Ok(())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: 1. It is the range that `map` made, and no reference was made to it.
        let _ = unsafe { sys::memory::unmap(self.start, self.bytes) };
    }
}

/// Whole pages.
fn wanted(amount: Amount) -> Result<usize, Failure> {
    let memory = meminfo::read().ok_or(Failure::NoMeminfo)?;
    let bytes = match amount {
        Amount::Bytes(bytes) => bytes,
        Amount::Percent(percent) => memory.total / 100 * percent,
    } / PAGE
        * PAGE;
    if bytes == 0 {
        return Err(Failure::Nothing);
    }
    let tables = bytes / 256 + (4 << 20);
    if bytes.saturating_add(tables) > memory.available {
        return Err(Failure::TooMuch { wanted: bytes, available: memory.available });
    }
    usize::try_from(bytes).map_err(|_| Failure::Nothing)
}
