//! Wakes processors whose faults waited for another CPU's work: the memory core knows them by number, and outlives the machine that they belong to when the guest begins anew.

use crate::host::Around;
use alloc::sync::Arc;
use hv_core::guest::Machine;
use hv_core::mmu::Wake;
use spin::Mutex;

/// The way from a guest's memory to its scheduler.
pub struct Waker<'h> {
    host: &'h Around,
    machine: Mutex<Option<Arc<Machine>>>,
}

impl<'h> Waker<'h> {
    /// Wakes nobody yet.
    #[must_use]
    pub const fn new(host: &'h Around) -> Self {
        Self { host, machine: Mutex::new(None) }
    }

    /// From now on wakes the processors of `machine`.
    pub fn serve(&self, machine: &Arc<Machine>) {
        *self.machine.lock() = Some(Arc::clone(machine));
    }
}

impl Wake for Waker<'_> {
    fn wake(&self, tokens: u64) {
        /// Whoever asks is not told apart from the others: its own CPU may be kicked once for nothing.
        const NOBODY: usize = usize::MAX;
        let machine = self.machine.lock().clone();
        if let Some(machine) = machine {
            machine.wake(tokens, NOBODY, self.host);
        }
    }
}
