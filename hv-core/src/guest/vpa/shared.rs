//! The areas of one processor, for all CPUs.

use super::{Dispatch, GaveUp, Vpa};
use crate::guest::claim::Claim;
use crate::guest::host::GuestMemory;
use crate::papr::Rc;
use crate::sync::Lock;

/// A [`Vpa`] under a lock, which is held until what is written is written: a deregistration waits for it, and finds nobody who still knows the area. Taken when
/// the processor is dispatched or goes and when an area is registered, never by a fault.
#[derive(Debug)]
pub struct SharedVpa(Lock<Vpa>);

impl Default for SharedVpa {
    fn default() -> Self {
        Self(Lock::new(Vpa::default()))
    }
}

impl SharedVpa {
    /// Does what H_REGISTER_VPA asks for. Once it has returned, nothing is written to what it deregistered.
    ///
    /// # Errors
    /// As [`Vpa::call`].
    pub fn call(&self, memory: &dyn GuestMemory, function: u64, at: Claim) -> Result<(), Rc> {
        self.0.lock().call(memory, function, at)
    }

    /// The processor called H_CEDE, and sleeps since `now` (host timebase).
    pub fn ceded(&self, memory: &dyn GuestMemory, now: u64) {
        self.0.lock().gave_up(memory, GaveUp::Ceded, now);
    }

    /// The processor called H_CONFER, and does not run since `now`.
    pub fn conferred(&self, memory: &dyn GuestMemory, now: u64) {
        self.0.lock().gave_up(memory, GaveUp::Conferred, now);
    }

    /// The processor was preempted at `now`.
    pub fn preempted(&self, memory: &dyn GuestMemory, now: u64) {
        self.0.lock().gave_up(memory, GaveUp::Preempted, now);
    }

    /// The processor runs again.
    pub fn dispatched(&self, memory: &dyn GuestMemory, dispatch: &Dispatch) {
        self.0.lock().dispatched(memory, dispatch);
    }

    /// The processor stopped: everything is deregistered.
    pub fn reset(&self) {
        *self.0.lock() = Vpa::default();
    }

    /// The dispatch count: even while it runs, odd otherwise. `None`: no area is registered.
    #[must_use]
    pub fn yield_count(&self) -> Option<u32> {
        self.0.lock().yield_count()
    }

    /// Whether the guest says that the processor has nothing to do. A hint, and the guest's word.
    #[must_use]
    pub fn is_idle(&self, memory: &dyn GuestMemory) -> bool {
        self.0.lock().is_idle(memory)
    }
}
