//! Upkeep of the caller's own memory: what migration, ballooning or a short host would do to it from outside, at a moment that the guest chooses, so that it can
//! measure what that costs. Private calls, answered only where the hypervisor's command line says `samewise.bench=on`; elsewhere there are none.

use super::{Answer, Call};
use crate::guest::host::{Upkeep, UpkeepError};
use crate::guest::machine::Flow;
use crate::papr::Rc;

/// What a range is made of.
const PAGE: u64 = 4096;

/// Switches the dirty log of a slot on.
pub fn start_log(call: &mut Call<'_>) -> Answer {
    upkeep(call, Upkeep::StartLog)
}

/// Reads a slot's dirty log.
pub fn harvest(call: &mut Call<'_>) -> Answer {
    upkeep(call, Upkeep::Harvest)
}

/// Switches the dirty log of a slot off.
pub fn stop_log(call: &mut Call<'_>) -> Answer {
    upkeep(call, Upkeep::StopLog)
}

/// Forgets pages.
pub fn unmap(call: &mut Call<'_>) -> Answer {
    upkeep(call, Upkeep::Unmap)
}

/// Takes pages out to the store.
pub fn page_out(call: &mut Call<'_>) -> Answer {
    upkeep(call, Upkeep::PageOut)
}

#[inline(never)]
fn upkeep(call: &mut Call<'_>, what: Upkeep) -> Answer {
    if !call.machine.settings.bench {
        return Err(Rc::FUNCTION);
    }
    let bytes = call.arg(1).any();
    if !bytes.is_multiple_of(PAGE) {
        return Err(Rc::P2);
    }
    let range = call.arg(0).block(call.memory, bytes, PAGE)?;
    let pages = call.memory.upkeep(what, range.start(), range.bytes())?;
    call.vcpu.set_result(0, pages);
    Ok(Flow::Resume)
}

impl From<UpkeepError> for Rc {
    fn from(error: UpkeepError) -> Self {
        match error {
            UpkeepError::NoSlot => Self::PARAMETER,
            UpkeepError::NotNow => Self::NOT_AVAILABLE,
            UpkeepError::OutOfMemory => Self::RESOURCE,
        }
    }
}
