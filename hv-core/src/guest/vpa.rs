//! What a processor registers with H_REGISTER_VPA: the virtual processor area, in which the hypervisor counts dispatches,
//! the dispatch trace log, and the SLB shadow, which only hash guests use (LoPAR 14.11.3.2).
//!
//! They are guest memory, so every write can fail. A failed write ends the registration: the guest took the memory away.

use super::claim::{Block, Claim, Refused};
use super::host::GuestMemory;
use crate::papr::{Rc, hcall};

/// Areas may not cross a page of this size.
const PAGE: u64 = 4096;
/// A virtual processor area is at least as long as this, and stands on a cache line.
const VPA_MIN: u64 = 640;
const CACHE_LINE: u64 = 128;
/// Offsets into the virtual processor area, all fields big-endian.
const VPA_SIZE: u64 = 4; // u16
const VPA_STATUS: u64 = 9; // u8
const VPA_LOG_MASK: u64 = 0xb8; // u8: what the guest wants logged
const VPA_DISPATCHES: u64 = 0x100; // u32: odd while the processor is given up
const VPA_LOG_INDEX: u64 = 0x218; // u64: entries written to the log
/// "Shared processor": the dispatch count means something.
const STATUS_SHARED: u8 = 0x02;
/// "Voluntary yields" in the log mask. Linux asks for involuntary ones only, and counts what it finds as stolen time.
const LOG_CEDE: u8 = 0x01;
/// Offset of the size, a big-endian u32, in a new log or SLB shadow.
const AREA_SIZE: u64 = 4;
/// Bytes of an entry of the log.
const LOG_ENTRY: u64 = 48;
/// "Dispatched after a yield" in a log entry (LoPAR 14.11.3.2.2).
const DISPATCH_AFTER_CEDE: u8 = 2;
/// "Ceded" in a log entry.
const PREEMPT_CEDED: u8 = 1;

/// The areas of one processor.
#[derive(Clone, Debug, Default)]
pub struct Vpa {
    area: Option<Area>,
    log: Option<Log>,
    slb_shadow: Option<Block>,
}

#[derive(Clone, Copy, Debug)]
struct Area {
    block: Block,
    dispatches: u32,
}

#[derive(Clone, Copy, Debug)]
struct Log {
    block: Block,
    written: u64,
    /// Host timebase of the last yield.
    yielded_at: u64,
}

/// The areas of one processor, shared.
#[derive(Debug, Default)]
pub struct SharedVpa(crate::sync::Lock<Vpa>);

impl SharedVpa {
    /// x
    pub fn call(&self, memory: &dyn GuestMemory, function: u64, at: Claim) -> Result<(), Rc> {
        self.0.lock().call(memory, function, at)
    }
    /// x
    pub fn ceded(&self, memory: &dyn GuestMemory, now: u64) {
        self.0.lock().yielded(memory, now)
    }
    /// x
    pub fn preempted(&self, memory: &dyn GuestMemory, now: u64) {
        self.0.lock().yielded(memory, now)
    }
    /// x
    pub fn dispatched(&self, memory: &dyn GuestMemory, cpu: u32, nip: u64, msr: u64, now: u64, _: u64) {
        self.0.lock().dispatched(memory, cpu, nip, msr, now)
    }
    /// x
    pub fn reset(&self) {
        *self.0.lock() = Vpa::default()
    }
    /// x
    pub fn yield_count(&self) -> Option<u32> {
        self.0.lock().area.map(|a| a.dispatches)
    }
}

impl From<Refused> for Rc {
    /// A bad argument without a code of its own.
    fn from(_: Refused) -> Self {
        Self::PARAMETER
    }
}

impl Vpa {
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

    /// Counts a yield at `now` (host timebase): the count turns odd.
    pub fn yielded(&mut self, memory: &dyn GuestMemory, now: u64) {
        self.count(memory, 1);
        if let Some(log) = &mut self.log {
            log.yielded_at = now;
        }
    }

    /// Counts a dispatch at `now` (host timebase): the count turns even, and the log gets an entry if the guest wants one.
    pub fn dispatched(&mut self, memory: &dyn GuestMemory, cpu: u32, nip: u64, msr: u64, now: u64) {
        self.count(memory, 0);
        let (Some(area), Some(log)) = (self.area, self.log) else { return };
        let mut mask = [0];
        if area.block.read(memory, VPA_LOG_MASK, &mut mask).is_err() || mask[0] & LOG_CEDE == 0 {
            return;
        }
        let entry = log_entry(cpu, now.saturating_sub(log.yielded_at), now, nip, msr);
        let slot = log.written % (log.block.bytes() / LOG_ENTRY);
        let written = log.written + 1;
        let done = log
            .block
            .write(memory, slot * LOG_ENTRY, &entry)
            .and_then(|()| area.block.write(memory, VPA_LOG_INDEX, &written.to_be_bytes()));
        self.log = done.is_ok().then_some(Log { written, ..log });
    }

    /// Moves the dispatch count on to the next number whose low bit is `parity`.
    fn count(&mut self, memory: &dyn GuestMemory, parity: u32) {
        let Some(area) = self.area else { return };
        let next = area.dispatches.wrapping_add(1);
        let dispatches = if next & 1 == parity { next } else { next.wrapping_add(1) };
        let done = area.block.write(memory, VPA_DISPATCHES, &dispatches.to_be_bytes());
        self.area = done.is_ok().then_some(Area { dispatches, ..area });
    }

    fn register_area(&mut self, memory: &dyn GuestMemory, at: Claim) -> Result<(), Rc> {
        let bad = |_| Rc::PARAMETER;
        let least = at.block(memory, VPA_MIN, CACHE_LINE)?;
        let bytes = u64::from(least.read_be16(memory, VPA_SIZE).map_err(bad)?);
        let block = within_a_page(at.block(memory, bytes.max(1), CACHE_LINE)?)?;
        if bytes < VPA_MIN {
            return Err(Rc::PARAMETER);
        }
        let mut status = [0];
        block.read(memory, VPA_STATUS, &mut status).map_err(bad)?;
        block.write(memory, VPA_STATUS, &[status[0] | STATUS_SHARED]).map_err(bad)?;
        block.write(memory, VPA_DISPATCHES, &0_u32.to_be_bytes()).map_err(bad)?;
        self.area = Some(Area { block, dispatches: 0 });
        Ok(())
    }

    fn register_log(&mut self, memory: &dyn GuestMemory, at: Claim) -> Result<(), Rc> {
        let block = sized_area(memory, at, LOG_ENTRY)?;
        if self.area.is_none() {
            return Err(Rc::RESOURCE);
        }
        self.log = Some(Log { block, written: 0, yielded_at: 0 });
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

/// Entry of the dispatch trace log: reasons (u8, u8), processor (u16), three waiting times (u32), then timebase, fault address, SRR0
/// and SRR1 (u64), big-endian.
fn log_entry(cpu: u32, waited: u64, now: u64, nip: u64, msr: u64) -> [u8; LOG_ENTRY as usize] {
    let mut entry = [0; LOG_ENTRY as usize];
    entry[0] = DISPATCH_AFTER_CEDE;
    entry[1] = PREEMPT_CEDED;
    let cpu = u16::try_from(cpu).unwrap_or(u16::MAX);
    entry[2..4].copy_from_slice(&cpu.to_be_bytes());
    let waited = u32::try_from(waited).unwrap_or(u32::MAX);
    entry[12..16].copy_from_slice(&waited.to_be_bytes());
    entry[16..24].copy_from_slice(&now.to_be_bytes());
    entry[32..40].copy_from_slice(&nip.to_be_bytes());
    entry[40..48].copy_from_slice(&msr.to_be_bytes());
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Ram;
    use ppc64_arch::addr::GuestReal;

    const AT: u64 = 0x2000;
    const LOG_AT: u64 = 0x4000;

    fn call(vpa: &mut Vpa, ram: &Ram, function: u64, at: u64) -> Result<(), Rc> {
        vpa.call(ram, function << hcall::vpa::SHIFT, Claim::new(at))
    }

    fn with_area() -> (Vpa, Ram) {
        let ram = Ram::new(0x1_0000);
        ram.put(AT + 4, &640_u16.to_be_bytes());
        let mut vpa = Vpa::default();
        assert_eq!(call(&mut vpa, &ram, 1, AT), Ok(()));
        (vpa, ram)
    }

    fn dispatches(ram: &Ram) -> u32 {
        ram.be32(AT + VPA_DISPATCHES)
    }

    #[test]
    fn the_dispatch_count_is_odd_only_while_the_processor_is_given_up() {
        let (mut vpa, ram) = with_area();
        assert_eq!(ram.byte(AT + VPA_STATUS), STATUS_SHARED);
        for turn in 0..3 {
            vpa.yielded(&ram, 5);
            assert_eq!(dispatches(&ram), 2 * turn + 1);
            vpa.dispatched(&ram, 0, 0, 0, 9);
            assert_eq!(dispatches(&ram), 2 * turn + 2);
        }
    }

    #[test]
    fn an_area_must_be_large_enough_aligned_inside_one_page_and_inside_memory() {
        let ram = Ram::new(0x1_0000);
        let mut vpa = Vpa::default();
        for (at, size) in [(AT, 639_u16), (AT, 0), (AT + 64, 640), (0x2e00, 640), (0xfd80, 641), (0x1_0000, 640)] {
            ram.put(at + 4, &size.to_be_bytes());
            assert_eq!(call(&mut vpa, &ram, 1, at), Err(Rc::PARAMETER), "{at:#x} {size}");
        }
        assert_eq!(call(&mut vpa, &ram, 1, u64::MAX - 127), Err(Rc::PARAMETER));
    }

    #[test]
    fn the_area_comes_first_and_goes_last() {
        let ram = Ram::new(0x1_0000);
        ram.put(LOG_AT + 4, &96_u32.to_be_bytes());
        assert_eq!(call(&mut Vpa::default(), &ram, 2, LOG_AT), Err(Rc::RESOURCE));
        assert_eq!(call(&mut Vpa::default(), &ram, 3, LOG_AT), Err(Rc::RESOURCE));

        let (mut vpa, ram) = with_area();
        ram.put(LOG_AT + 4, &96_u32.to_be_bytes());
        assert_eq!(call(&mut vpa, &ram, 2, LOG_AT), Ok(()));
        assert_eq!(call(&mut vpa, &ram, 5, 0), Err(Rc::RESOURCE));
        assert_eq!(call(&mut vpa, &ram, 6, 0), Ok(()));
        assert_eq!(call(&mut vpa, &ram, 5, 0), Ok(()));
    }

    #[test]
    fn the_log_is_kept_on_request_and_never_leaves_its_buffer() {
        let (mut vpa, ram) = with_area();
        ram.put(LOG_AT + 4, &100_u32.to_be_bytes()); // two entries and a rest
        assert_eq!(call(&mut vpa, &ram, 2, LOG_AT), Ok(()));
        vpa.yielded(&ram, 5);
        vpa.dispatched(&ram, 3, 0x1234, 0x8000, 6);
        assert_eq!(ram.be64(AT + VPA_LOG_INDEX), 0, "not asked for");
        ram.put(AT + VPA_LOG_MASK, &[LOG_CEDE]);
        for now in [10, 20, 30] {
            vpa.yielded(&ram, now);
            vpa.dispatched(&ram, 3, 0x1234, 0x8000, now + 1);
        }
        assert_eq!(ram.be64(AT + VPA_LOG_INDEX), 3);
        assert_eq!(ram.be64(LOG_AT + 16), 31, "the third entry replaced the first");
        assert_eq!(ram.be32(LOG_AT + 48 + 12), 1, "ticks given up");
        assert_eq!(ram.be32(LOG_AT + 96), 0);
    }

    #[test]
    fn unknown_functions_are_refused() {
        let (mut vpa, ram) = with_area();
        for function in [0, 4, 8, u64::from(u32::MAX)] {
            assert_eq!(call(&mut vpa, &ram, function & 0x7_ffff, AT), Err(Rc::PARAMETER));
        }
        assert_eq!(vpa.call(&ram, (1 << 45) | 1, Claim::new(AT)), Err(Rc::PARAMETER));
    }

    #[test]
    fn memory_that_was_taken_away_ends_the_registration() {
        let (mut vpa, ram) = with_area();
        ram.shrink(0x1000);
        vpa.yielded(&ram, 1);
        assert!(vpa.area.is_none());
        assert!(!ram.contains(GuestReal::new(AT), 1));
    }
}
