//! Calls by which the hypervisor touches the guest's memory on its behalf (LoPAR 14.5.4.1 and 14.5.4.5).

use super::{Answer, Call};
use crate::guest::claim::{Block, Claim};
use crate::guest::machine::Flow;
use crate::papr::Rc;
use crate::papr::hcall::page_init as flag;

/// Pages of H_PAGE_INIT, whatever page size the guest uses.
const PAGE: u64 = 4096;
/// A cache block of the POWER processors that we run on.
const CACHE_BLOCK: u64 = 128;
/// How much is copied by way of one buffer on the stack.
const CHUNK: usize = 512;
/// The most bytes that one H_LOGICAL_MEMOP may cover: the time of a call must be bounded.
const MEMOP_MOST: u64 = 1 << 20;

/// Zeroes or copies a page, and makes it visible to fetches.
pub fn page_init(call: &mut Call<'_>) -> Answer {
    let flags = call.arg(0).any();
    if flags & !(flag::COPY | flag::ZERO | flag::ICACHE_INVALIDATE | flag::ICACHE_SYNCHRONIZE) != 0 {
        return Err(Rc::PARAMETER);
    }
    let to = call.arg(1).block(call.memory, PAGE, PAGE)?;
    if flags & flag::COPY != 0 {
        let from = call.arg(2).block(call.memory, PAGE, PAGE)?;
        copy(call, from, to)?;
    } else if flags & flag::ZERO != 0 {
        call.memory.zero(to.start(), PAGE)?;
    }
    if flags & (flag::ICACHE_INVALIDATE | flag::ICACHE_SYNCHRONIZE) != 0 {
        call.memory.make_fetchable(to.start(), PAGE);
    }
    Ok(Flow::Resume)
}

fn copy(call: &Call<'_>, from: Block, to: Block) -> Result<(), Rc> {
    let mut chunk = [0; CHUNK];
    for offset in (0..from.bytes()).step_by(CHUNK) {
        from.read(call.memory, offset, &mut chunk)?;
        to.write(call.memory, offset, &chunk)?;
    }
    Ok(())
}

/// Loads 1, 2, 4 or 8 bytes, big-endian.
pub fn load(call: &mut Call<'_>) -> Answer {
    let size = access_size(call.arg(0))?;
    let block = call.arg(1).block(call.memory, size as u64, size as u64)?;
    let mut bytes = [0; 8];
    block.read(call.memory, 0, &mut bytes[8 - size..])?;
    call.vcpu.set_result(0, u64::from_be_bytes(bytes));
    Ok(Flow::Resume)
}

/// Stores 1, 2, 4 or 8 bytes, big-endian.
pub fn store(call: &mut Call<'_>) -> Answer {
    let size = access_size(call.arg(0))?;
    let block = call.arg(1).block(call.memory, size as u64, size as u64)?;
    let bytes = call.arg(2).any().to_be_bytes();
    block.write(call.memory, 0, &bytes[8 - size..])?;
    Ok(Flow::Resume)
}

fn access_size(claim: Claim) -> Result<usize, Rc> {
    match claim.at_most(8)? {
        size @ (1 | 2 | 4 | 8) => Ok(size),
        _ => Err(Rc::PARAMETER),
    }
}

/// Makes a cache block visible to fetches.
pub fn icbi(call: &mut Call<'_>) -> Answer {
    let block = cache_block(call)?;
    call.memory.make_fetchable(block.start(), block.bytes());
    Ok(Flow::Resume)
}

/// Flushes a data cache block: nothing to do, for memory here is coherent and there is no device that reads past the caches.
pub fn dcbf(call: &mut Call<'_>) -> Answer {
    cache_block(call)?;
    Ok(Flow::Resume)
}

fn cache_block(call: &Call<'_>) -> Result<Block, Rc> {
    let start = Claim::new(call.arg(0).any() & !(CACHE_BLOCK - 1));
    Ok(start.block(call.memory, CACHE_BLOCK, CACHE_BLOCK)?)
}

/// Copies elements, or copies them inverted. Overlapping ranges are copied in the order that keeps the source intact.
pub fn memop(call: &mut Call<'_>) -> Answer {
    let size = 1_u64 << call.arg(2).at_most(3)?;
    let invert = match call.arg(4).any() {
        0 => 0,
        1 => 0xff,
        _ => return Err(Rc::PARAMETER),
    };
    let bytes = call.arg(3).any().checked_mul(size).filter(|bytes| *bytes <= MEMOP_MOST).ok_or(Rc::PARAMETER)?;
    let to = call.arg(0).block(call.memory, bytes, size)?;
    let from = call.arg(1).block(call.memory, bytes, size)?;
    let backwards = to.start() > from.start();
    let mut done = 0;
    while done < bytes {
        let len = (bytes - done).min(CHUNK as u64);
        let offset = if backwards { bytes - done - len } else { done };
        move_chunk(call, (from, to), offset, usize::try_from(len).unwrap_or(CHUNK), invert)?;
        done += len;
    }
    Ok(Flow::Resume)
}

fn move_chunk(call: &Call<'_>, (from, to): (Block, Block), offset: u64, len: usize, invert: u8) -> Result<(), Rc> {
    let mut buffer = [0; CHUNK];
    let chunk = &mut buffer[..len];
    from.read(call.memory, offset, chunk)?;
    chunk.iter_mut().for_each(|byte| *byte ^= invert);
    to.write(call.memory, offset, chunk)?;
    Ok(())
}
