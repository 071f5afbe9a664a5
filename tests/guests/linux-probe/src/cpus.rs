//! The processors that a process may run on, one after the other.

use crate::sys::Errno;
use crate::sys::process::{self, Set};

/// The processors that were there when it was made.
pub struct Cpus(Set);

/// One that was switched off meanwhile.
const EINVAL: Errno = Errno(22);

impl Cpus {
    /// All on which this process may run.
    pub fn all() -> Result<Self, Errno> {
        process::allowed().map(Self)
    }

    /// Their numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        let set = self.0.0;
        (0..u64::BITS).filter(move |cpu| set & 1 << cpu != 0)
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.0.0.count_ones()
    }

    /// Goes to the `n`th of them, counted around; whether it was reached: it may be off just now.
    pub fn go_to(&self, n: u32) -> Result<bool, Errno> {
        let Some(cpu) = self.numbers().nth((n % self.count().max(1)) as usize) else { return Ok(false) };
        pin(cpu)
    }

    /// Lets this process run on all of them again.
    pub fn release(&self) -> Result<(), Errno> {
        process::allow(self.0)
    }
}

/// Binds this process to a processor, and tells whether it runs there now.
pub fn pin(cpu: u32) -> Result<bool, Errno> {
    match process::allow(Set(1 << cpu)) {
        Err(EINVAL) => Ok(false),
        other => other.and_then(|()| process::current()).map(|now| now == cpu),
    }
}
