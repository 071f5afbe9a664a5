//! What a guest's world needs from the platform: two small traits, so that everything above runs in host tests.

use super::vcpu::Vcpu;
use crate::hash;
use crate::mmu::{Resolution, StorageFault};
use ppc64_arch::addr::GuestReal;
use ppc64_arch::mce::Severity;

/// Why the guest stopped running. Decoded by the platform from the trap; the registers are in the [`Vcpu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// `sc 1` from any state; `nip` stands after it.
    Hcall,
    /// HDSI or HISI of a radix guest.
    Storage(StorageFault),
    /// HDSI or HISI of a hash guest.
    HashStorage(hash::Fault),
    /// The hypervisor decrementer: a time slice is over, or a pending interrupt is to be looked at.
    Hdec,
    /// An interrupt for the hypervisor itself (0x500 or 0xEA0): its console, or a kick.
    External,
    /// Hypervisor emulation assistance (0xE40): an instruction the CPU does not have. `None`: the platform could not tell which.
    Emulation(Option<u32>),
    /// Hypervisor facility unavailable (0xF80): HFSCR denied it. The cause is HFSCR's interrupt cause field.
    Facility(u8),
    /// System reset (0x100) while the guest ran.
    SystemReset,
    /// Machine check (0x200) while the guest ran.
    MachineCheck(MachineError),
    /// Any other vector.
    Unexpected(u16),
    /// The platform could not run the guest: its own error code.
    Failed(i64),
    /// A [`Short`] way began with it, and knows what remains.
    Begun,
    /// LPCR\[MER\] said that an interrupt waits, and the guest has turned MSR\[EE\] on: nothing else has happened.
    LetIn,
}

/// A machine check of a guest, with what it is told if it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineError {
    /// SRR1: the causes, and the state that was interrupted.
    pub srr1: u64,
    /// DSISR.
    pub dsisr: u64,
    /// DAR.
    pub dar: u64,
    /// What can be done. If it is recoverable, the platform has emptied the translation caches.
    pub severity: Severity,
}

/// What follows when an exit took the short way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Next {
    /// The guest goes on.
    Resume = 0,
    /// It goes on once the registers that only the hypervisor writes (LPCR, DAWRs, CIABR) were loaded anew.
    Reload = 1,
    /// It was begun: the stay ends with [`Exit::Begun`].
    Begun = 2,
    /// Nothing was done: the stay ends with the exit as it is.
    Whole = 3,
    /// It goes on in an interrupt of its own, which was delivered: SRR0 and SRR1 are loaded from the vCPU before, and so are DAR and DSISR if it says so.
    Interrupt = 4,
}

/// Handles frequent exits without the vCPU's whole state: of its [`Vcpu`] only `regs` are true, and of these not r13 to r31, and what nobody but the hypervisor writes.
///
/// A platform may offer an exit here before it ends the stay, or never do so.
pub trait Short {
    /// A storage interrupt. `regs.nip` and `regs.msr` are there, of the rest nothing has to be.
    fn storage(&mut self, vcpu: &mut Vcpu, fault: &StorageFault) -> Next;
    /// The same of a hash guest.
    fn hash_storage(&mut self, vcpu: &mut Vcpu, fault: &hash::Fault) -> Next {
        _ = (vcpu, fault);
        Next::Whole
    }
    /// A call: r0 to r12, nip and MSR are there, and may be changed.
    fn call(&mut self, vcpu: &mut Vcpu) -> Next;
    /// The same of a hash guest. Neither [`Next::Reload`] nor [`Next::Interrupt`]: nothing is to be loaded, so that the frequent calls need not be looked after.
    fn hash_call(&mut self, vcpu: &mut Vcpu) -> Next {
        _ = vcpu;
        Next::Whole
    }
}

/// Runs a vCPU until its next exit.
pub trait World {
    /// Has `vcpu` leave ([`Exit::LetIn`]) when it turns MSR\[EE\] on in the next stay: LPCR\[MER\] is set, and for hardware that heeds it nothing is left to do. A world that needs a page for
    /// it from which the guest cannot fetch asks `close` for that, which says whether it is so.
    fn await_interrupts_on(&mut self, vcpu: &mut Vcpu, close: impl FnOnce(GuestReal) -> bool) {
        _ = (vcpu, close);
    }

    /// Runs `vcpu` until it leaves. `deadline` is the absolute host timebase at which it must leave, or a few milliseconds later where what is below
    /// cannot end short stays. Exits that `short` can handle need not end
    /// the stay.
    fn enter<S: Short>(&mut self, vcpu: &mut Vcpu, deadline: u64, short: &mut S) -> Exit;

    /// Stores what of `vcpu` is in this CPU still: from now on another CPU may enter it. Costs nothing for a vCPU of which nothing is here.
    fn put_away(&mut self, vcpu: &mut Vcpu);

    /// Sleeps until `deadline` (host timebase), a kick, or an interrupt for this CPU, whichever is first. A kick that came before it ends it at once.
    fn idle(&mut self, deadline: u64);

    /// Lets other CPUs go on for a moment, while this one waits for one of them: low priority, a few cycles.
    fn relax(&mut self) {
        core::hint::spin_loop();
    }
}

/// What became of a hash guest's storage interrupt.
pub type HashAnswer = hash::Outcome;

/// Resolves storage interrupts: the memory half.
pub trait FaultHandler {
    /// Makes the access possible, or says why not.
    fn fault(&self, fault: &StorageFault) -> Resolution;

    /// The same for a hash guest. A handler of radix guests' faults is never asked: what says so is broken.
    fn hash_fault(&self, fault: &hash::Fault) -> HashAnswer {
        _ = fault;
        HashAnswer::Memory(Resolution::MachineError)
    }

    /// Called right before the CPU enters the guest: flushes that it missed outside are made up for.
    fn entering(&self) {}

    /// Called right after it left the guest.
    fn left(&self) {}

    /// Has the next fetch from the 4 KiB page at `page`, and from no other, be a storage interrupt; whether that could be done.
    fn forbid_fetch(&self, page: GuestReal) -> bool {
        _ = page;
        false
    }

    /// A fault of vCPU number `vcpu` has ended in [`Resolution::Wait`]: from now on the end of what it waits for wakes it. It is to be tried once more before the vCPU sleeps.
    fn wait(&self, vcpu: u32) {
        _ = vcpu;
    }

    /// It does not wait any more.
    fn unwait(&self, vcpu: u32) {
        _ = vcpu;
    }
}

/// The machine around a guest: clocks, console, entropy.
pub trait Host {
    /// The timebase now, in ticks.
    fn timebase(&self) -> u64;
    /// Ticks a second.
    fn timebase_hz(&self) -> u64;
    /// Seconds since 1970 UTC and nanoseconds, if the machine has a clock.
    fn wall_clock(&self) -> Option<(u64, u32)>;
    /// Writes bytes to the guest's console; how many were taken. Never waits.
    fn console_write(&self, bytes: &[u8]) -> usize;
    /// Reads up to `bytes.len()` bytes that were typed; how many there were. Never waits.
    fn console_read(&self, bytes: &mut [u8]) -> usize;
    /// 64 random bits, or `None` if the machine has no source (or it failed).
    fn random(&self) -> Option<u64>;
    /// The answer to H_GET_CPU_CHARACTERISTICS of whoever is below us (character, behaviour), if it gives one.
    fn cpu_characteristics(&self) -> Option<(u64, u64)>;
    /// Makes CPU number `cpu` leave the guest, or its sleep, soon. Never waits. A kick that comes while it is in the hypervisor ends its next stay, or its next sleep, at
    /// once; several that come before that are one. What was stored before is seen by the CPU behind it. A number that no CPU has does nothing.
    fn kick(&self, cpu: usize);
}

/// Access to guest memory by the hypervisor itself: through the same resolution as the guest's own, so that absent pages appear, read-only is respected, and
/// dirty is marked. A range may cross pages and slots, but each byte must lie in a slot.
pub trait GuestMemory {
    /// Copies guest memory to `into`. On an error `into` may be partly written.
    ///
    /// # Errors
    /// See [`MemoryError`].
    fn read(&self, at: GuestReal, into: &mut [u8]) -> Result<(), MemoryError>;
    /// Copies `from` to guest memory. The range is checked whole before the first byte is written.
    ///
    /// # Errors
    /// See [`MemoryError`].
    fn write(&self, at: GuestReal, from: &[u8]) -> Result<(), MemoryError>;
    /// Fills `bytes` bytes with zeros.
    ///
    /// # Errors
    /// See [`MemoryError`].
    fn zero(&self, at: GuestReal, bytes: u64) -> Result<(), MemoryError>;
    /// Whether `at..at+bytes` lies in the guest's memory as a whole.
    fn contains(&self, at: GuestReal, bytes: u64) -> bool;
    /// Tells where the process table stands (H_REGISTER_PROC_TBL): doubleword 1 of the partition table entry, native order.
    fn set_process_table(&self, dw1: u64);
    /// The guest's hashed table, if it is a hash guest.
    fn hash(&self) -> Option<&dyn hash::Calls> {
        None
    }
    /// Upkeep that a measuring guest asks for: how many pages it concerned, as far as that is counted.
    ///
    /// # Errors
    /// See [`UpkeepError`].
    fn upkeep(&self, what: Upkeep, from: GuestReal, bytes: u64) -> Result<u64, UpkeepError> {
        let _ = (what, from, bytes);
        Err(UpkeepError::NotNow)
    }
    /// Makes what was written at `at..at+bytes` visible to instruction fetches. Does nothing by itself: right where fetches are
    /// coherent with stores; a machine on which they are not overrides it.
    fn make_fetchable(&self, at: GuestReal, bytes: u64) {
        let _ = (at, bytes);
    }
}

/// What is done to a guest's memory from outside while it runs, and what a measuring guest may ask for, to see what that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upkeep {
    /// The dirty log of the slot that the range begins in goes on.
    StartLog,
    /// That log is read, and its pages are protected again: how many.
    Harvest,
    /// That log goes off.
    StopLog,
    /// The range's pages are forgotten: the guest sees what the slot is made of again.
    Unmap,
    /// The range's pages go to the guest's store: how many.
    PageOut,
}

/// Why there was no upkeep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpkeepError {
    /// The range begins in no slot.
    NoSlot,
    /// The log is on, or off, already.
    NotNow,
    /// The host has no frame left for it.
    OutOfMemory,
}

/// Why guest memory could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// Part of the range lies outside every slot, or wraps.
    Outside,
    /// A write to a read-only slot.
    ReadOnly,
    /// The host has no frame left for it.
    OutOfMemory,
}
