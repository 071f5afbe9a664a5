//! RTAS calls: a block of big-endian words in guest memory, whose address goes to the hypervisor.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::hcall;
use crate::memory;

/// Puts a big-endian word into memory outside the image.
pub fn put(address: u64, word: u32) {
    let shift = (address % 8) * 8;
    let old = memory::read(address & !7);
    let new = (old & !(0xffff_ffff << shift)) | u64::from(word.swap_bytes()) << shift;
    memory::write(address & !7, new);
}

/// Reads one.
pub fn get(address: u64) -> u32 {
    let half = memory::read(address & !7) >> (address % 8 * 8);
    u32::try_from(half & 0xffff_ffff).unwrap_or(0).swap_bytes()
}

/// Calls a function: its status and, where it has two results, the second. The block stands on the caller's stack, so that vCPUs do not share it.
pub fn call(token: u32, args: &[u32], results: u32) -> (i32, u32) {
    let block = [const { AtomicU32::new(0) }; 8];
    let count = u32::try_from(args.len()).unwrap_or(0);
    for (place, word) in block.iter().zip([token, count, results].iter().chain(args)) {
        place.store(word.to_be(), Ordering::Relaxed);
    }
    let address = block.as_ptr().expose_provenance() as u64;
    if hcall::call(hcall::RTAS, &[address]).code != hcall::SUCCESS {
        return (i32::MIN, 0);
    }
    let result =
        |n| block.get(3 + args.len() + n).map_or(0, |place: &AtomicU32| u32::from_be(place.load(Ordering::Relaxed)));
    (result(0).cast_signed(), result(1))
}

/// The block of the last call, in the image: no scratch memory need be there for it.
static LAST: [AtomicU32; 6] = [const { AtomicU32::new(0) }; 6];

/// Ends the run. If the hypervisor does not, there is nothing to do but wait, idly.
pub fn power_off(token: Option<u32>) -> ! {
    let words = [token.unwrap_or(0), 2, 1, u32::MAX, u32::MAX, 0];
    for (place, word) in LAST.iter().zip(words) {
        place.store(word.to_be(), Ordering::Relaxed);
    }
    let block = LAST.as_ptr().expose_provenance() as u64;
    if token.is_some() {
        hcall::call(hcall::RTAS, &[block]);
    }
    loop {
        hcall::call(hcall::CEDE, &[]);
    }
}
