//! Whose registers a CPU holds, of those that no exit stores: floating point, vectors and all the rest of [`Extended`](ppc64_arch::extended::Extended).
//!
//! While one vCPU runs here they stay where they are, from stay to stay. When it is put away they are stored with the vCPU, and are in both places: whoever comes next need not store
//! them, and the vCPU itself, if it comes back to this CPU and neither ran elsewhere meanwhile, need not load them. Of two facts the first is known to the CPU (who it holds), and the second
//! to the vCPU (where it was last).
//!
//! ```text
//!   vCPU                            CPU a                       CPU b
//!   entered on a: last = a          holds it
//!   put away: stored                holds it still
//!   entered on a again: last = a    holds it: nothing to load
//!   put away, entered on b: last = b                            loads it, drops its translations of the partition
//!   put away, entered on a: last = a   holds it, but last was b: loads it, drops them
//! ```
//!
//! # Translations
//!
//! A guest drops translations of its own processes by `tlbiel`, where it knows that a process ran on one of its processors only, and that reaches the CPU on which that vCPU is then. Another CPU on which the vCPU
//! was before may hold what it dropped meanwhile. So a vCPU that comes to a CPU on which it was not last has the partition's translations dropped there before it runs.

use hv_core::guest::Vcpu;

/// What has to be done before a vCPU runs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The CPU is another vCPU's now, or comes to this one from another CPU: what stays the same for as long as one has it is to be loaded.
    pub anew: bool,
    /// It was on another CPU last, or on none in this life: this CPU's translations of the partition are to be dropped.
    pub came: bool,
}

/// The registers of one CPU.
#[derive(Debug)]
pub struct Owner {
    /// This CPU's number.
    cpu: usize,
    /// Whose they are: partition and number in it.
    current: Option<(u32, u32)>,
    /// They are stored with the vCPU, and its performance monitor stands still.
    stored: bool,
    v31: bool,
}

impl Owner {
    /// Nobody's yet. `cpu` is this CPU.
    #[must_use]
    pub const fn new(cpu: usize, v31: bool) -> Self {
        Self { cpu, current: None, stored: false, v31 }
    }

    /// Whether `vcpu` is whose registers are here.
    fn holds(&self, vcpu: &Vcpu) -> bool {
        self.current == Some((vcpu.hv.lpid, vcpu.id)) && vcpu.last_cpu == Some(self.cpu)
    }

    /// Gives the CPU to `vcpu`. Who had it before was put away, or is gone.
    ///
    /// # Safety
    /// This CPU may use every facility of [`Extended`](ppc64_arch::extended::Extended), runs with translation off and interrupts disabled, and the caller does what the answer says.
    #[inline]
    pub unsafe fn take(&mut self, vcpu: &mut Vcpu) -> Taken {
        if self.holds(vcpu) {
            if core::mem::take(&mut self.stored) {
                // SAFETY: 1. passed on to the caller; 2. the rest of the state is here still.
                unsafe { vcpu.extended.resume() }
            }
            return Taken { anew: false, came: false };
        }
        // SAFETY: 1. passed on to the caller.
        unsafe { self.load(vcpu) }
    }

    /// # Safety
    /// As for [`take`](Self::take).
    #[cold]
    unsafe fn load(&mut self, vcpu: &mut Vcpu) -> Taken {
        // SAFETY: 1. passed on to the caller; 2. what was in the CPU was stored, or is nobody's.
        unsafe { vcpu.extended.load(self.v31) }
        self.current = Some((vcpu.hv.lpid, vcpu.id));
        self.stored = false;
        let before = vcpu.last_cpu.replace(self.cpu);
        // One that begins anew may have been here in its life before.
        Taken { anew: true, came: before != Some(self.cpu) }
    }

    /// Stores with `vcpu` what of it is here alone; whether something was.
    ///
    /// # Safety
    /// This CPU may use every facility of [`Extended`](ppc64_arch::extended::Extended).
    pub unsafe fn put_away(&mut self, vcpu: &mut Vcpu) -> bool {
        if self.stored || !self.holds(vcpu) {
            return false;
        }
        // SAFETY: 1. passed on to the caller.
        unsafe { vcpu.extended.save(self.v31) }
        self.stored = true;
        true
    }
}
