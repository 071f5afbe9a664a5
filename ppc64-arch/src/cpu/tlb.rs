//! Dropping translations, on every CPU or on this one (Power ISA 3.1B Book III 6.9.3.3 and 6.10, "Translation Table Update Synchronization Requirements").

use crate::hash::tlbie as hash;
use crate::tlbie::{Cached, Operands};
use core::arch::asm;

/// The kind is part of the instruction word, so there is one instruction for each.
macro_rules! by_kind {
    ($operands:ident, $word:ident) => {
        match $operands.cached {
            Cached::Translations => by_kind!($operands, $word, Cached::Translations),
            Cached::Tables => by_kind!($operands, $word, Cached::Tables),
            Cached::Everything => by_kind!($operands, $word, Cached::Everything),
        }
    };
    // The word names r4 and r5, which hold the operands. Not `nomem`: table entries are stored before it.
    ($operands:ident, $word:ident, $cached:expr) => {
        asm!(
            ".long {word}",
            word = const Operands { cached: $cached, rb: 0, rs: 0 }.$word(),
            in("r4") $operands.rb, in("r5") $operands.rs,
            options(nostack, preserves_flags)
        )
    };
}

/// The same of a hash partition, whose operands say nothing of the kind.
macro_rules! of_hash {
    ($operands:ident, $word:ident) => {
        asm!(
            ".long {word}",
            word = const hash::Operands::$word,
            in("r4") $operands.rb, in("r5") $operands.rs,
            options(nostack, preserves_flags)
        )
    };
}

/// Begins to drop what `operands` name, on every CPU; [`tlb_complete`] waits for it.
///
/// # Safety
/// This CPU is in hypervisor state. (Translations that are dropped are looked up again, so nothing is lost.)
#[inline]
pub unsafe fn tlbie(operands: Operands) {
    // SAFETY: 1. passed on to the caller.
    unsafe { by_kind!(operands, word) }
}

/// Begins to drop what `operands` name on this CPU, of the partition in LPIDR; [`local_complete`] waits for it.
///
/// # Safety
/// As for [`tlbie`].
#[inline]
pub unsafe fn tlbiel(operands: Operands) {
    // SAFETY: 1. passed on to the caller.
    unsafe { by_kind!(operands, local_word) }
}

/// Begins to drop what the processes of the partition in LPIDR have cached on this CPU, as much of it as `operands`, which name the partition, say; [`local_complete`] waits for it.
///
/// # Safety
/// As for [`tlbie`].
#[inline]
pub unsafe fn tlbiel_of_processes(operands: Operands) {
    // SAFETY: 1. passed on to the caller.
    unsafe { by_kind!(operands, local_process_word) }
}

/// Begins to drop what `operands` name of a hash partition, on every CPU; [`tlb_complete`] waits for it.
///
/// # Safety
/// As for [`tlbie`].
#[inline]
pub unsafe fn tlbie_hash(operands: hash::Operands) {
    // SAFETY: 1. passed on to the caller.
    unsafe { of_hash!(operands, WORD) }
}

/// Begins to drop what `operands`, which name a hash partition, say, on every CPU, and with it what is cached of the partition's own entry (RIC=2); [`tlb_complete`] waits for it.
///
/// # Safety
/// As for [`tlbie`].
#[inline]
pub unsafe fn tlbie_hash_all(operands: hash::Operands) {
    // SAFETY: 1. passed on to the caller.
    unsafe { of_hash!(operands, ALL_WORD) }
}

/// Begins to drop what `operands` name on this CPU, of the hash partition in LPIDR; [`local_complete`] waits for it.
///
/// # Safety
/// As for [`tlbie`].
#[inline]
pub unsafe fn tlbiel_hash(operands: hash::Operands) {
    // SAFETY: 1. passed on to the caller.
    unsafe { of_hash!(operands, LOCAL_WORD) }
}

/// Returns when what was begun by `tlbiel`s before is done. The effective-to-real cache is emptied too, which on POWER9 a `tlbiel` of a whole partition leaves alone
/// (`slbia 7`, which not every assembler knows: nothing but that cache).
///
/// # Safety
/// As for [`tlbie`].
#[inline]
pub unsafe fn local_complete() {
    // SAFETY: 1. barriers have no effect but order; 2. the cache is filled again from the TLB and the tables.
    unsafe { asm!("ptesync", ".long 0x7ce003e4", "isync", options(nostack, preserves_flags)) }
}

/// Drops all segment entries of this CPU, the one of index 0 too. A radix guest has none.
///
/// # Safety
/// As for [`tlbie`], and no hash guest's entries are in the CPU.
#[inline]
pub unsafe fn drop_segments() {
    // SAFETY: 1. the caller says that nobody needs them.
    unsafe { asm!("slbmte {0}, {0}", "slbia", "isync", in(reg) 0_u64, options(nostack, preserves_flags)) }
}

/// Returns when every CPU has done what was begun by `tlbie`s before: the one place where this sequence stands. Only one CPU may be at it at a time on processors
/// before POWER9; on those that we run on any number may.
///
/// # Safety
/// As for [`tlbie`].
#[inline]
pub unsafe fn tlb_complete() {
    // SAFETY: 1. barriers have no effect but order.
    unsafe { asm!("eieio", "tlbsync", "ptesync", options(nostack, preserves_flags)) }
}
