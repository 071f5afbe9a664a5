//! The virtual processor area: its fields, and what the hypervisor keeps in them. All are big-endian (LoPAR 14.11.3.2).

use super::Waited;
use crate::guest::claim::Block;
use crate::guest::host::{GuestMemory, MemoryError};

/// Areas may not cross a page of this size.
pub const PAGE: u64 = 4096;
/// A virtual processor area is at least as long as this, and stands on a cache line.
pub const VPA_MIN: u64 = 640;
/// See [`VPA_MIN`].
pub const CACHE_LINE: u64 = 128;
/// Offset of the size: u16.
pub const VPA_SIZE: u64 = 4;
/// u8.
pub const VPA_STATUS: u64 = 9;
/// u8: what the guest wants logged.
pub const VPA_LOG_MASK: u64 = 0xb8;
/// u8: not 0 while the guest has nothing to do there.
pub const VPA_IDLE: u64 = 0xfe;
/// u32: odd while the processor is given up. Then u32: how many dispatches were on another CPU than the one before.
pub const VPA_DISPATCHES: u64 = 0x100;
/// Three u64, ticks that the processor spent: enqueued for a CPU, ready but not enqueued (we enqueue at once), waiting for something to do.
pub const VPA_TIMES: u64 = 0x158;
/// u64: entries written to the log.
pub const VPA_LOG_INDEX: u64 = 0x218;
/// "Shared processor": the dispatch count means something.
pub const STATUS_SHARED: u8 = 0x02;

const _: () = assert!(VPA_LOG_INDEX + 8 <= VPA_MIN);

/// A registered area.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    block: Block,
    dispatches: u32,
    dispersions: u32,
    /// What stands at [`VPA_TIMES`]; it goes on from what the guest had there.
    times: [u64; 3],
}

impl Area {
    /// An area of a processor that runs or not.
    pub fn new(memory: &dyn GuestMemory, block: Block, runs: bool) -> Result<Self, MemoryError> {
        let mut status = [0];
        block.read(memory, VPA_STATUS, &mut status)?;
        block.write(memory, VPA_STATUS, &[status[0] | STATUS_SHARED])?;
        let mut times = [0; 3];
        for (offset, time) in (VPA_TIMES..).step_by(8).zip(&mut times) {
            let mut bytes = [0; 8];
            block.read(memory, offset, &mut bytes)?;
            *time = u64::from_be_bytes(bytes);
        }
        let new = Self { block, dispatches: u32::from(!runs), dispersions: 0, times };
        new.write_counts(memory)?;
        Ok(new)
    }

    /// The block that the guest registered.
    pub const fn block(&self) -> Block {
        self.block
    }

    /// The dispatch count.
    pub const fn dispatches(&self) -> u32 {
        self.dispatches
    }

    /// Whether the guest says that it has nothing to do.
    pub fn is_idle(&self, memory: &dyn GuestMemory) -> bool {
        let mut idle = [0];
        self.block.read(memory, VPA_IDLE, &mut idle).is_ok() && idle[0] != 0
    }

    /// The count turns odd. `None`: the area is gone.
    pub fn given_up(self, memory: &dyn GuestMemory) -> Option<Self> {
        let next = self.counted(1);
        next.write_counts(memory).is_ok().then_some(next)
    }

    /// The count turns even, and what was waited is added up. `None`: the area is gone.
    pub fn dispatched(self, memory: &dyn GuestMemory, moved: bool, waited: Waited) -> Option<Self> {
        let [enqueued, ready, asleep] = self.times;
        let times = [enqueued.wrapping_add(waited.ready), ready, asleep.wrapping_add(waited.asleep)];
        let dispersions = self.dispersions.wrapping_add(u32::from(moved));
        let next = Self { times, dispersions, ..self }.counted(0);
        let done = next.write_times(memory).and_then(|()| next.write_counts(memory));
        done.is_ok().then_some(next)
    }

    /// With the next dispatch count whose low bit is `parity`.
    const fn counted(self, parity: u32) -> Self {
        let next = self.dispatches.wrapping_add(1);
        Self { dispatches: if next & 1 == parity { next } else { next.wrapping_add(1) }, ..self }
    }

    fn write_counts(&self, memory: &dyn GuestMemory) -> Result<(), MemoryError> {
        let both = u64::from(self.dispatches) << 32 | u64::from(self.dispersions);
        self.block.write(memory, VPA_DISPATCHES, &both.to_be_bytes())
    }

    fn write_times(&self, memory: &dyn GuestMemory) -> Result<(), MemoryError> {
        let mut bytes = [0; 24];
        bytes.chunks_exact_mut(8).zip(self.times).for_each(|(to, time)| to.copy_from_slice(&time.to_be_bytes()));
        self.block.write(memory, VPA_TIMES, &bytes)
    }
}
