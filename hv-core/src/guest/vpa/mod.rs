//! What a processor registers with H_REGISTER_VPA: the virtual processor area, in which the hypervisor counts dispatches and the time that the processor
//! waited, the dispatch trace log, and the SLB shadow, which only hash guests use (LoPAR 14.11.3.2).
//!
//! ```text
//!            dispatched            ceded, conferred, preempted            ready                   dispatched
//!   ─────────────┼─────────────────────────────┼────────────────────────────┼─────────────────────────┼──────►
//!    count is odd │        runs: even          │    waits for something     │   stolen from it: it    │
//!                 │                            │    (preempted: for nothing)│   waits for a CPU       │
//! ```
//!
//! They are guest memory, so every write can fail. A failed write ends the registration: the guest took the memory away.
//!
//! A processor's areas are written when it is dispatched and when it goes, by the CPU that does so, and registered by any processor of the guest: [`SharedVpa`]
//! has them under a lock. It is held until the writes are done, so nothing is written any more once a deregistration has returned.

mod fields;
#[cfg(all(test, loom))]
mod interleavings;
mod log;
mod shared;
#[cfg(test)]
mod tests;

use super::claim::{Block, Claim, Refused};
use super::host::GuestMemory;
use crate::papr::{Rc, hcall};
use fields::{Area, CACHE_LINE, PAGE, VPA_MIN, VPA_SIZE};
use log::{LOG_ENTRY, Log};
pub use shared::SharedVpa;

/// Offset of the size, a big-endian u32, in a new log or SLB shadow.
const AREA_SIZE: u64 = 4;

/// The areas of one processor.
#[derive(Clone, Debug, Default)]
pub struct Vpa {
    area: Option<Area>,
    log: Option<Log>,
    slb_shadow: Option<Block>,
    state: State,
    /// The CPU that it was on last.
    cpu: Option<u32>,
}

/// What the processor does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It was not started, or it stopped.
    #[default]
    Stopped,
    Running,
    /// It gave up the CPU at a host timebase.
    Away(GaveUp, u64),
}

/// Why a processor runs no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// H_CEDE.
    Ceded,
    /// H_CONFER.
    Conferred,
    /// Its time slice is over, or another one was more urgent.
    Preempted,
}

/// Why a processor runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An interrupt is presented to it.
    Interrupt,
    /// H_PROD.
    Prodded,
    /// Its decrementer expired.
    Decrementer,
    /// Another one gave it its time.
    Conferred,
    /// It is its turn.
    TimeSlice,
}

/// A dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The CPU's number.
    pub cpu: u32,
    /// Where the processor goes on.
    pub nip: u64,
    /// Its machine state register.
    pub msr: u64,
    /// Host timebase.
    pub now: u64,
    /// Host timebase at which it was woken, and began to wait for a CPU. 0 for one that was never asleep: since it went.
    pub ready_since: u64,
    /// Why it is dispatched.
    pub reason: Reason,
}

impl From<Refused> for Rc {
    /// A bad argument without a code of its own.
    fn from(_: Refused) -> Self {
        Self::PARAMETER
    }
}

impl Vpa {
    /// The areas of a processor that runs already.
    #[cfg(test)]
    fn running() -> Self {
        Self { state: State::Running, ..Self::default() }
    }

    /// Does what H_REGISTER_VPA asks for.
    ///
    /// # Errors
    /// [`Rc::PARAMETER`]: unknown function, or an area that is misplaced, too small, or outside memory. [`Rc::RESOURCE`]: the virtual processor area
    /// comes first and goes last.
    pub fn call(&mut self, memory: &dyn GuestMemory, function: u64, at: Claim) -> Result<(), Rc> {
        use hcall::vpa;
        if function & ((1 << vpa::SHIFT) - 1) != 0 {
            return Err(Rc::PARAMETER);
        }
        match function >> vpa::SHIFT {
            vpa::REGISTER_VPA => self.register_area(memory, at),
            vpa::REGISTER_DTL => self.register_log(memory, at),
            vpa::REGISTER_SLB => self.register_slb_shadow(memory, at),
            vpa::DEREGISTER_VPA => self.deregister_area(),
            vpa::DEREGISTER_DTL => {
                self.log = None;
                Ok(())
            }
            vpa::DEREGISTER_SLB => {
                self.slb_shadow = None;
                Ok(())
            }
            _ => Err(Rc::PARAMETER),
        }
    }

    /// The processor gave up the CPU at `now` (host timebase): the count turns odd.
    pub fn gave_up(&mut self, memory: &dyn GuestMemory, why: GaveUp, now: u64) {
        self.state = State::Away(why, now);
        self.area = self.area.and_then(|area| area.given_up(memory));
    }

    /// The processor runs again: the count turns even, the area tells what it waited, and the log gets an entry if the guest wants one.
    pub fn dispatched(&mut self, memory: &dyn GuestMemory, dispatch: &Dispatch) {
        let before = core::mem::replace(&mut self.state, State::Running);
        let moved = self.cpu.replace(dispatch.cpu).is_some_and(|cpu| cpu != dispatch.cpu);
        let waited = match before {
            State::Away(_, since) => Waited::between(since, dispatch),
            State::Running | State::Stopped => Waited::default(),
        };
        self.area = self.area.and_then(|area| area.dispatched(memory, moved, waited));
        if let (Some(area), Some(log), State::Away(why, _)) = (self.area, self.log, before) {
            self.log = log.with_entry(memory, &area, why, waited, dispatch);
        }
    }

    /// The dispatch count: even while it runs, odd otherwise. `None`: no area is registered.
    #[must_use]
    pub fn yield_count(&self) -> Option<u32> {
        self.area.map(|area| area.dispatches())
    }

    /// Whether the guest says that the processor has nothing to do. A hint, and the guest's word.
    #[must_use]
    pub fn is_idle(&self, memory: &dyn GuestMemory) -> bool {
        self.area.is_some_and(|area| area.is_idle(memory))
    }

    fn register_area(&mut self, memory: &dyn GuestMemory, at: Claim) -> Result<(), Rc> {
        let bad = |_| Rc::PARAMETER;
        let least = at.block(memory, VPA_MIN, CACHE_LINE)?;
        let bytes = u64::from(least.read_be16(memory, VPA_SIZE).map_err(bad)?);
        let block = within_a_page(at.block(memory, bytes.max(1), CACHE_LINE)?)?;
        if bytes < VPA_MIN {
            return Err(Rc::PARAMETER);
        }
        self.area = Some(Area::new(memory, block, self.state == State::Running).map_err(bad)?);
        Ok(())
    }

    fn register_log(&mut self, memory: &dyn GuestMemory, at: Claim) -> Result<(), Rc> {
        let block = sized_area(memory, at, LOG_ENTRY)?;
        if self.area.is_none() {
            return Err(Rc::RESOURCE);
        }
        self.log = Some(Log::new(block));
        Ok(())
    }

    fn register_slb_shadow(&mut self, memory: &dyn GuestMemory, at: Claim) -> Result<(), Rc> {
        let block = within_a_page(sized_area(memory, at, 8)?)?;
        if self.area.is_none() {
            return Err(Rc::RESOURCE);
        }
        self.slb_shadow = Some(block);
        Ok(())
    }

    fn deregister_area(&mut self) -> Result<(), Rc> {
        if self.log.is_some() || self.slb_shadow.is_some() {
            return Err(Rc::RESOURCE);
        }
        self.area = None;
        Ok(())
    }
}

/// An area whose second word holds its size, at least `least` bytes.
fn sized_area(memory: &dyn GuestMemory, at: Claim, least: u64) -> Result<Block, Rc> {
    let head = at.block(memory, 8, 8)?;
    let bytes = u64::from(head.read_be32(memory, AREA_SIZE).map_err(|_| Rc::PARAMETER)?);
    if bytes < least {
        return Err(Rc::PARAMETER);
    }
    Ok(at.block(memory, bytes, 8)?)
}

fn within_a_page(block: Block) -> Result<Block, Rc> {
    let into_page = block.start().raw() % PAGE;
    if into_page + block.bytes() <= PAGE { Ok(block) } else { Err(Rc::PARAMETER) }
}

/// What a processor waited before a dispatch, in timebase ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Waited {
    /// Until there was something to do.
    asleep: u64,
    /// For a CPU, although there was something to do: stolen from it.
    ready: u64,
}

impl Waited {
    /// It went at `since`.
    fn between(since: u64, dispatch: &Dispatch) -> Self {
        let ready_since = dispatch.ready_since.max(since).min(dispatch.now);
        Self { asleep: ready_since.saturating_sub(since), ready: dispatch.now.saturating_sub(ready_since) }
    }
}
