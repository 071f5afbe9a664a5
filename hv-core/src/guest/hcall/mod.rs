//! Hypervisor calls: `sc 1` with the number in r3 and arguments in r4 to r12 (LoPAR 14.5).
//!
//! A call is a row of `table`: its number and its handler. A handler gets its arguments as [`Claim`]s, puts further results in r4 and up, and answers
//! with what happens next or with the [`Rc`] that the guest gets.

mod console;
mod interrupts;
mod measuring;
mod memory;
mod processor;
mod table;
pub(super) mod table_entries;
#[cfg(test)]
mod tests;

use super::claim::Claim;
use super::host::{GuestMemory, Host, MemoryError};
use super::machine::{Flow, Machine};
use super::sched::State;
use super::stats::Counters;
use super::vcpu::Vcpu;
use crate::hash::Calls;
use crate::papr::Rc;
use crate::papr::hcall::{H_SET_SPRG0, H_SIGNAL_SYS_RESET};

/// Bytes of an instruction.
const INSTRUCTION: u64 = 4;

/// What a handler works on.
pub struct Call<'a> {
    /// The caller.
    pub vcpu: &'a mut Vcpu,
    /// What the guest's processors share.
    pub machine: &'a Machine,
    /// The machine around the guest.
    pub host: &'a dyn Host,
    /// The guest's memory.
    pub memory: &'a dyn GuestMemory,
    /// What is counted.
    pub counters: &'a mut Counters,
}

/// How a handler ends: with success and what happens next, or with an error for the guest.
pub type Answer = Result<Flow, Rc>;

/// Does one kind of call.
pub type Handler = fn(&mut Call<'_>) -> Answer;

impl Call<'_> {
    /// Tells processor `id` of something that was made for it, and what happens next: if it could run and does not, since this CPU is busy, the caller lets it go first. Whoever
    /// calls another processor waits for its answer more often than not, and kernels take for granted that it comes soon.
    pub fn call_upon(&self, id: u32) -> Flow {
        let sched = &self.machine.sched;
        let waited = sched.state(id as usize) == State::Queued;
        self.wake(1_u64.checked_shl(id).unwrap_or(0));
        let another = id != self.vcpu.id;
        if another && (waited || sched.is_wanted(self.vcpu.cpu)) { Flow::Confer(Some(id)) } else { Flow::Resume }
    }

    /// Has processors look at what is there for them: bit n for processor n. The caller needs no word: it looks before it is entered again.
    pub fn wake(&self, tokens: u64) {
        self.machine.wake(tokens & !(1 << self.vcpu.id), self.vcpu.cpu, self.host);
    }

    /// Argument `n`; 0 is r4.
    #[must_use]
    pub fn arg(&self, n: usize) -> Claim {
        arg(self.vcpu, n)
    }
}

/// The same for whoever has only the caller. Modulo, so that there is nothing to check.
#[inline]
fn arg(vcpu: &Vcpu, n: usize) -> Claim {
    Claim::new(vcpu.regs.gpr[4 + n % 9])
}

impl From<MemoryError> for Rc {
    /// An address that the guest gave turned out to be bad, or the host is out of memory.
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Outside | MemoryError::ReadOnly => Self::PARAMETER,
            MemoryError::OutOfMemory => Self::RESOURCE,
        }
    }
}

/// Whether a call changes registers beyond those that calls return in.
#[must_use]
#[inline]
pub const fn wants_whole_state(number: u64) -> bool {
    matches!(number, H_SET_SPRG0 | H_SIGNAL_SYS_RESET)
}

/// Does the call that the caller's registers ask for, and sets r3.
///
/// A caller in problem state gets H_PRIVILEGE, whatever it asks for (LoPAR 14.5.1).
pub fn handle(call: &mut Call<'_>) -> Flow {
    let number = call.vcpu.regs.gpr[3];
    let answer = if call.vcpu.in_problem_state() {
        Err(Rc::PRIVILEGE)
    } else if let Some(handler) = table::find(number) {
        handler(call)
    } else {
        call.counters.unknown_hcalls += 1;
        debug!("hcall {=u64:#x} is not offered", number);
        Err(Rc::FUNCTION)
    };
    finish(call.vcpu, answer)
}

/// Gives the caller its answer: what happens next.
#[inline]
fn finish(vcpu: &mut Vcpu, answer: Answer) -> Flow {
    match answer {
        Ok(Flow::Again) => {
            // Behind `sc`; its registers are as they were.
            vcpu.regs.nip = vcpu.regs.nip.wrapping_sub(INSTRUCTION);
            Flow::Resume
        }
        Ok(flow) => {
            vcpu.set_return(Rc::SUCCESS);
            flow
        }
        Err(rc) => {
            vcpu.set_return(rc);
            Flow::Resume
        }
    }
}

/// Does a call about a hash guest's table, as `work` has it, and sets r3: what [`handle`] does, in one piece. Such a call is of no interrupt's or other processor's concern, so that the caller goes
/// on; `false`: to make the call again, which another CPU was in the way of.
#[inline(always)]
pub fn handle_in_table(
    vcpu: &mut Vcpu,
    memory: &impl GuestMemory,
    work: impl FnOnce(&mut Vcpu, &dyn Calls) -> Answer,
) -> bool {
    let answer = match memory.hash() {
        _ if vcpu.in_problem_state() => Err(Rc::PRIVILEGE),
        Some(table) => work(vcpu, table),
        None => Err(Rc::FUNCTION),
    };
    let done = !matches!(answer, Ok(Flow::Again));
    _ = finish(vcpu, answer);
    done
}
