//! The instructions that Rust has no word for. powerpc64 only; nothing here decides anything.

mod barrier;
mod cache;
mod doorbell;
mod extended;
mod hcall;
mod misc;
mod order;
mod slb;
mod stop;
mod tlb;

pub use crate::extended::{Extended, Facilities, Monitor, OnlyV30, SinceV31};
pub use barrier::{hwsync, isync, lwsync, ptesync};
pub use cache::{CACHE_LINE, copy, sync_instructions, zero};
pub use doorbell::{hush, hush_privileged, ring, ring_privileged};
pub use hcall::{Hcall, hcall};
pub use misc::{darn, medium_priority, timebase, very_low_priority};
pub use order::{load_big_endian, store_big_endian, swap_bytes};
pub use slb::{give_segments, take_segments};
pub use stop::stop;
pub use tlb::{
    drop_segments, local_complete, tlb_complete, tlbie, tlbie_hash, tlbie_hash_all, tlbiel, tlbiel_hash,
    tlbiel_of_processes,
};
