//! The instructions that Rust has no word for. powerpc64 only; nothing here decides anything.

mod barrier;
mod cache;
mod hcall;
mod misc;
mod stop;
mod tlb;

pub use barrier::{hwsync, isync, lwsync, ptesync};
pub use cache::{CACHE_LINE, copy, sync_instructions, zero};
pub use hcall::{Hcall, hcall};
pub use misc::{darn, medium_priority, timebase, very_low_priority};
pub use stop::stop;
pub use tlb::{drop_segments, local_complete, tlb_complete, tlbie, tlbiel};
