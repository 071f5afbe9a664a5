//! Calls about a hash guest's table (LoPAR 14.5.4.1, "Page Frame Table Access").
//!
//! What they do is in [`crate::hash`]; here are registers and return codes. A call that met another CPU at its entry is made again by the guest, which does not notice: its instruction is executed once more.

use super::{Answer, Call, arg};
use crate::guest::machine::Flow;
use crate::guest::vcpu::Vcpu;
use crate::hash::{Bulk, Calls, Recorded, Refusal, Unresized};
use crate::papr::Rc;
use crate::sync::relax;
use ppc64_arch::hash::PaprEntry;

/// The table, if the guest has one.
fn table<'a>(call: &Call<'a>) -> Result<&'a dyn Calls, Rc> {
    call.memory.hash().ok_or(Rc::FUNCTION)
}

/// Does a call in the table, if the guest has one.
fn in_table(call: &mut Call<'_>, work: impl FnOnce(&mut Vcpu, &dyn Calls) -> Answer) -> Answer {
    let table = table(call)?;
    work(call.vcpu, table)
}

/// What a refusal is to the guest; `None`: nothing, it makes the call again.
const fn code(refusal: Refusal) -> Option<Rc> {
    Some(match refusal {
        Refusal::Parameter => Rc::PARAMETER,
        Refusal::GroupFull => Rc::PTEG_FULL,
        Refusal::NotFound => Rc::NOT_FOUND,
        Refusal::UnsupportedFlag(flag) => Rc::unsupported_flag(flag),
        Refusal::Busy => return None,
    })
}

/// Ends a call: with results from r4 on, with an error, or by making it again.
#[inline]
fn end<const N: usize>(vcpu: &mut Vcpu, done: Result<[u64; N], Refusal>) -> Answer {
    match done {
        Ok(results) => {
            results.into_iter().enumerate().for_each(|(n, value)| vcpu.set_result(n, value));
            Ok(Flow::Resume)
        }
        Err(refusal) => code(refusal).map_or(Ok(Flow::Again), Err),
    }
}

/// H_ENTER. r4: flags, r5: entry, r6 and r7: what it is to be. Result r4: the entry.
pub fn enter(call: &mut Call<'_>) -> Answer {
    in_table(call, enter_in)
}

/// The same in the table, for the short way.
#[inline(always)]
pub fn enter_in(vcpu: &mut Vcpu, table: &dyn Calls) -> Answer {
    let [flags, index, word0, word1] = args(vcpu);
    let entered = table.enter(flags, index, PaprEntry { word0, word1 });
    end(vcpu, entered.map(|index| [index]))
}

/// H_REMOVE. r4: flags, r5: entry, r6: what it has to be. Results r4, r5: what it was.
pub fn remove(call: &mut Call<'_>) -> Answer {
    in_table(call, remove_in)
}

/// The same in the table, for the short way.
#[inline(always)]
pub fn remove_in(vcpu: &mut Vcpu, table: &dyn Calls) -> Answer {
    let [flags, index, value] = args(vcpu);
    let removed = table.remove(flags, index, value);
    end(vcpu, removed.map(|was| [was.word0, was.word1]))
}

/// H_BULK_REMOVE. r4 to r11: up to four requests, which become their answers.
pub fn bulk_remove(call: &mut Call<'_>) -> Answer {
    let (table, words) = (table(call)?, args(call.vcpu));
    let mut bulk = Bulk::new(words);
    let done = loop {
        match table.bulk_remove(&mut bulk) {
            // The instruction cannot be executed once more: a part of the list is done. Whoever has the next entry is in the hypervisor, and waits for none of ours.
            Err(Refusal::Busy) if bulk.words != words => relax(),
            done => break done,
        }
    };
    bulk.words.into_iter().enumerate().for_each(|(n, word)| call.vcpu.set_result(n, word));
    end(call.vcpu, done.map(|()| []))
}

/// H_READ. r4: flags, r5: entry. Results r4 and r5, or r4 to r11: what it is, or four are.
pub fn read(call: &mut Call<'_>) -> Answer {
    let [flags, index] = args(call.vcpu);
    match table(call)?.read(flags, index) {
        Ok(four) => {
            let words = four.entries().iter().flat_map(|entry| [entry.word0, entry.word1]);
            words.enumerate().for_each(|(n, word)| call.vcpu.set_result(n, word));
            Ok(Flow::Resume)
        }
        Err(refusal) => end::<0>(call.vcpu, Err(refusal)),
    }
}

/// H_PROTECT. r4: flags, r5: entry, r6: what it has to be.
pub fn protect(call: &mut Call<'_>) -> Answer {
    in_table(call, protect_in)
}

/// The same in the table, for the short way.
#[inline(always)]
pub fn protect_in(vcpu: &mut Vcpu, table: &dyn Calls) -> Answer {
    let [flags, index, value] = args(vcpu);
    let protected = table.protect(flags, index, value);
    end(vcpu, protected.map(|()| []))
}

/// H_CLEAR_REF. r4: flags, r5: entry. Result r4: its second doubleword, as it was.
pub fn clear_referenced(call: &mut Call<'_>) -> Answer {
    clear(call, Recorded::Referenced)
}

/// H_CLEAR_MOD. As H_CLEAR_REF.
pub fn clear_changed(call: &mut Call<'_>) -> Answer {
    clear(call, Recorded::Changed)
}

fn clear(call: &mut Call<'_>, what: Recorded) -> Answer {
    let [_flags, index] = args(call.vcpu);
    let was = table(call)?.clear(what, index);
    end(call.vcpu, was.map(|word1| [word1]))
}

/// H_RESIZE_HPT_PREPARE. r4: flags, of which there are none, r5: log2 of the size in bytes.
pub fn prepare_resize(call: &mut Call<'_>) -> Answer {
    let [flags, shift] = args(call.vcpu);
    resized(table(call)?.prepare_resize(flags, shift))
}

/// H_RESIZE_HPT_COMMIT. As H_RESIZE_HPT_PREPARE.
pub fn commit_resize(call: &mut Call<'_>) -> Answer {
    let [flags, shift] = args(call.vcpu);
    resized(table(call)?.commit_resize(flags, shift))
}

fn resized(done: Result<(), Unresized>) -> Answer {
    match done {
        Ok(()) => Ok(Flow::Resume),
        Err(why) => Err(match why {
            Unresized::LongBusy => Rc::LONG_BUSY_1_MSEC,
            Unresized::Busy => Rc::BUSY,
            Unresized::Parameter => Rc::PARAMETER,
            Unresized::Resource => Rc::RESOURCE,
            Unresized::Closed => Rc::CLOSED,
            Unresized::GroupFull => Rc::PTEG_FULL,
        }),
    }
}

/// The first arguments.
#[inline]
fn args<const N: usize>(vcpu: &Vcpu) -> [u64; N] {
    core::array::from_fn(|n| arg(vcpu, n).any())
}
