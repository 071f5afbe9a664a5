//! Whose registers a CPU holds, of those that no exit stores: floating point, vectors and all the rest of [`Extended`].
//!
//! While one vCPU runs here they stay where they are. When another one is to run they are exchanged, once.

use alloc::boxed::Box;
use alloc::vec::Vec;
use ppc64_arch::cpu::Extended;
use ppc64_arch::spr::live;
use tock_registers::interfaces::{Readable, Writeable};

/// A vCPU: its partition and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The partition.
    pub lpid: u32,
    /// The number in it.
    pub vcpu: u32,
}

/// A vCPU that does not run here now.
struct Parked {
    key: Key,
    state: Box<Extended>,
    /// Its process; only bare metal leaves that in the CPU.
    process: Option<u32>,
}

/// The vCPUs of one CPU.
pub struct Owner {
    current: Option<Key>,
    /// Whether PIDR is in the CPU as well.
    holds_process: bool,
    v31: bool,
    parked: Vec<Parked>,
}

impl Owner {
    /// Nobody's yet.
    #[must_use]
    pub const fn new(v31: bool, holds_process: bool) -> Self {
        Self { current: None, holds_process, v31, parked: Vec::new() }
    }

    /// Gives the CPU to `key`; true if it was another's. A vCPU that was never here begins with zeros.
    ///
    /// # Safety
    /// This CPU may use every facility of [`Extended`], runs with translation off and interrupts disabled, and the caller loads what else a guest needs.
    #[inline]
    pub unsafe fn take(&mut self, key: Key) -> bool {
        if self.current == Some(key) {
            return false;
        }
        // SAFETY: 1. passed on to the caller.
        unsafe { self.exchange(key) }
        true
    }

    /// All vCPUs of partition `lpid` begin anew.
    pub fn forget(&mut self, lpid: u32) {
        self.parked.retain(|parked| parked.key.lpid != lpid);
        self.current = self.current.filter(|key| key.lpid != lpid);
    }

    /// # Safety
    /// As for [`take`](Self::take).
    #[cold]
    unsafe fn exchange(&mut self, key: Key) {
        if let Some(before) = self.current.replace(key) {
            let mut state = Box::<Extended>::default();
            // SAFETY: 1. passed on to the caller.
            unsafe { state.save(self.v31) }
            let process = self.holds_process.then(process);
            self.parked.push(Parked { key: before, state, process });
        }
        let at = self.parked.iter().position(|parked| parked.key == key);
        let (state, process) = match at.map(|at| self.parked.swap_remove(at)) {
            Some(parked) => (parked.state, parked.process),
            None => (Box::default(), Some(0)),
        };
        // SAFETY: 1. passed on to the caller; 2. what was in the CPU was stored, or was nobody's.
        unsafe { state.load(self.v31) }
        if self.holds_process {
            live::PIDR.set(u64::from(process.unwrap_or(0)));
        }
    }
}

fn process() -> u32 {
    crate::decrementer::low_word(live::PIDR.get())
}
