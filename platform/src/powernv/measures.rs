//! Measures against speculation, patched into the world switch at boot.
//!
//! | site | without | with |
//! | --- | --- | --- |
//! | before `hrfid` | `nop` | an instruction that empties the L1 data cache |
//! | `resume_guest` | its first instruction | a branch to code that fills the link stack, empties the count cache, and goes on behind |
//! | before a handler is called, and at a stay's end | `nop` | `ori 31,31,0`, so that nothing is speculated with what the guest left |
//!
//! So whoever needs none pays two `nop`s an exit. What is asked for comes from firmware, or from the command line, so that either can be measured.

use super::vectors::{branch, write};
use hv_core::guest::cmdline::Wish;
use ppc64_arch::measures::{BARRIER, COUNT_CACHE_FLUSH, Firmware, Measures};

unsafe extern "C" {
    fn resume_guest();
    fn flush_predictors();
    fn count_cache_site();
    fn l1d_site();
    fn barrier_data();
    fn barrier_fetch();
    fn barrier_call();
    fn barrier_leave();
}

/// Where a barrier stands.
const BARRIERS: [unsafe extern "C" fn(); 4] = [barrier_data, barrier_fetch, barrier_call, barrier_leave];

/// Puts in place what is asked for. No guest has run yet.
pub fn install(firmware: Option<Firmware>, wish: Wish) {
    let measures = match wish {
        Wish::Firmware => firmware.map(|firmware| firmware.measures()).unwrap_or_default(),
        Wish::On => Measures::ALL,
        Wish::Off => Measures::default(),
    };
    if let Some(flush) = measures.l1d {
        write(place(l1d_site), flush.word());
    }
    if measures.count_cache {
        write(place(count_cache_site), COUNT_CACHE_FLUSH);
    }
    if measures.link_stack || measures.count_cache {
        write(place(resume_guest), branch(place(resume_guest), place(flush_predictors)));
    }
    if measures.barrier {
        BARRIERS.into_iter().for_each(|site| write(place(site), BARRIER));
    }
    tell(measures);
}

fn place(code: unsafe extern "C" fn()) -> u64 {
    (code as *const ()).addr() as u64
}

fn tell(Measures { l1d, link_stack, count_cache, barrier, unmet }: Measures) {
    defmt::info!(
        "measures: L1D flush {=bool}, link stack {=bool}, count cache {=bool}, barriers {=bool}",
        l1d.is_some(),
        link_stack,
        count_cache,
        barrier
    );
    if unmet {
        defmt::warn!("firmware asks for a flush that it names no instruction for");
    }
}
