//! The dispatch trace log (LoPAR 14.11.3.2.2).

use super::fields::{Area, VPA_LOG_INDEX, VPA_LOG_MASK};
use super::{Dispatch, GaveUp, Reason, Waited};
use crate::guest::claim::Block;
use crate::guest::host::{GuestMemory, MemoryError};
use crate::sync::{Ordering, fence};

/// Bytes of an entry.
pub const LOG_ENTRY: u64 = 48;
/// "Voluntary waits" in the log mask.
pub const LOG_CEDE: u8 = 0x01;
/// "Time-slice preempts" in the log mask. Linux asks for these only, and counts what it finds as stolen time.
pub const LOG_PREEMPT: u8 = 0x02;

/// A registered log: a ring of entries.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    block: Block,
    written: u64,
}

impl Log {
    /// An empty log.
    pub const fn new(block: Block) -> Self {
        Self { block, written: 0 }
    }

    /// With an entry for `dispatch`, if the guest wants one. `None`: the log is gone.
    pub fn with_entry(
        self,
        memory: &dyn GuestMemory,
        area: &Area,
        why: GaveUp,
        waited: Waited,
        dispatch: &Dispatch,
    ) -> Option<Self> {
        let mut mask = [0];
        if area.block().read(memory, VPA_LOG_MASK, &mut mask).is_err() || mask[0] & wanted(why) == 0 {
            return Some(self);
        }
        let next = Self { written: self.written.wrapping_add(1), ..self };
        next.write(memory, area, self.written, &entry(why, waited, dispatch)).is_ok().then_some(next)
    }

    fn write(
        &self,
        memory: &dyn GuestMemory,
        area: &Area,
        index: u64,
        entry: &[u8; LOG_ENTRY as usize],
    ) -> Result<(), MemoryError> {
        let slot = index % (self.block.bytes() / LOG_ENTRY);
        self.block.write(memory, slot * LOG_ENTRY, entry)?;
        // The entry before its number, for other processors that read this one's log.
        fence(Ordering::Release);
        area.block().write(memory, VPA_LOG_INDEX, &self.written.to_be_bytes())
    }
}

const fn wanted(why: GaveUp) -> u8 {
    match why {
        GaveUp::Ceded | GaveUp::Conferred => LOG_CEDE,
        GaveUp::Preempted => LOG_PREEMPT,
    }
}

/// Why it went, as entries say it.
const fn preempt_code(why: GaveUp) -> u8 {
    match why {
        GaveUp::Ceded => 2,
        GaveUp::Conferred => 3,
        GaveUp::Preempted => 4,
    }
}

/// Why it came, as entries say it.
const fn dispatch_code(reason: Reason) -> u8 {
    match reason {
        Reason::Interrupt => 0,
        Reason::Prodded => 2,
        Reason::Decrementer => 3,
        Reason::Conferred => 6,
        Reason::TimeSlice => 7,
    }
}

/// An entry: reasons of dispatch and preemption (u8, u8), CPU (u16), ticks enqueued, ready, and waiting (u32), then timebase, fault address, SRR0
/// and SRR1 (u64), big-endian.
fn entry(why: GaveUp, waited: Waited, dispatch: &Dispatch) -> [u8; LOG_ENTRY as usize] {
    let mut entry = [0; LOG_ENTRY as usize];
    let ticks = |ticks: u64| u32::try_from(ticks).unwrap_or(u32::MAX).to_be_bytes();
    entry[0] = dispatch_code(dispatch.reason);
    entry[1] = preempt_code(why);
    entry[2..4].copy_from_slice(&u16::try_from(dispatch.cpu).unwrap_or(u16::MAX).to_be_bytes());
    entry[4..8].copy_from_slice(&ticks(waited.ready));
    entry[12..16].copy_from_slice(&ticks(waited.asleep));
    entry[16..24].copy_from_slice(&dispatch.now.to_be_bytes());
    entry[32..40].copy_from_slice(&dispatch.nip.to_be_bytes());
    entry[40..48].copy_from_slice(&dispatch.msr.to_be_bytes());
    entry
}
