//! Calls that concern others, of all vCPUs at once, with numbers of which some name somebody.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{next, pick};
use crate::crew;
use crate::hcall::{self, call, is_papr_code};
use crate::machine::{MOST, Machine, server};
use crate::report::{Case, Verdict, fail};
use crate::{smp, trap};

pub const CASES: &[Case] = &[
    Case::new("H_PROD, H_CONFER and H_IPI at a storm", calls).lax_in_qemu("a prod makes a vCPU go on that has stopped"),
    Case::new("H_SIGNAL_SYS_RESET at a storm", resets),
];

/// Calls of each vCPU.
const CALLS: u64 = 3000;
/// What names nobody, or everybody. QEMU drops the upper half, which leaves the first vCPU of the last two.
const WILD: [u64; 8] = [8, 64, 9999, 1 << 31, u64::MAX - 2, u64::MAX, 1 << 32, i64::MIN.cast_unsigned()];
/// How many calls each has made.
static MADE: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

/// A bit for each that is ready to be reset.
static READY: AtomicU64 = AtomicU64::new(0);

/// A wild number, or a vCPU other than this one: to confer to oneself means to wait for a prod.
fn somebody(machine: &Machine, vcpu: usize, seed: &mut u64) -> u64 {
    let nth = usize::try_from(next(seed) >> 40).unwrap_or(0) % (2 * machine.servers().len());
    let wild = if machine.plain { &WILD[..6] } else { &WILD };
    if nth == vcpu || nth >= machine.servers().len() { pick(wild, seed) } else { server(nth) }
}

fn calls(machine: &Machine) -> Verdict {
    crew::with_others(machine, storm, || {
        storm(machine, 0);
        Ok(())
    })
}

fn storm(machine: &Machine, vcpu: usize) {
    let mut seed = 0x9e37_79b9_7f4a_7c15 + vcpu as u64;
    call(hcall::CPPR, &[0xff]);
    for _ in 0..CALLS {
        let number = pick(&[hcall::PROD, hcall::CONFER, hcall::IPI], &mut seed);
        let (target, argument) = (somebody(machine, vcpu, &mut seed), next(&mut seed));
        let code = call(number, &[target, argument]).code;
        // QEMU does not set the return code of a confer to everybody.
        if !(is_papr_code(code) || machine.plain && number == hcall::CONFER) {
            crew::complain(number, code.cast_unsigned());
        }
    }
    // Interrupts that were sent to this vCPU, with external interrupts off: taken back.
    call(hcall::IPI, &[server(vcpu), 0xff]);
}

/// All but the first begin anew whenever they are reset. The first one resets everybody; nobody else resets it, since it has a case to end.
fn resets(machine: &Machine) -> Verdict {
    let before: usize = (1..machine.servers().len()).map(crew::begun).sum();
    MADE.iter().for_each(|made| made.store(0, Ordering::Relaxed));
    READY.store(0, Ordering::Release);
    crew::with_others(machine, reset_others, || {
        reset_others(machine, 0);
        Ok(())
    })?;
    let begun = (1..machine.servers().len()).map(crew::begun).sum::<usize>() - before;
    if begun > machine.servers().len() { Ok(()) } else { fail!("nobody was reset: {begun} began") }
}

fn reset_others(machine: &Machine, vcpu: usize) {
    let mut seed = 0x2545_f491_4f6c_dd1d + MADE[vcpu].load(Ordering::Relaxed) * 64 + vcpu as u64;
    trap::begin_anew(vcpu != 0);
    READY.fetch_or(1 << vcpu, Ordering::AcqRel);
    if !smp::wait_for(|| READY.load(Ordering::Acquire) + 1 == 1 << machine.servers().len()) {
        crew::complain(2, vcpu as u64);
    }
    while MADE[vcpu].fetch_add(1, Ordering::Relaxed) < resets_of(machine, vcpu) {
        let target = match (vcpu, next(&mut seed) % 8) {
            (0, 0) => u64::MAX,
            (0, 1) => u64::MAX - 1,
            (_, 2) => pick(&WILD[..5], &mut seed),
            _ => somebody_but_the_first(machine, &mut seed),
        };
        let code = call(hcall::SIGNAL_SYS_RESET, &[target]).code;
        if !is_papr_code(code) {
            crew::complain(target, code.cast_unsigned());
        }
    }
    // Nobody sends any more: what is under way has come when the next calls return.
    let has_made = |vcpu: usize| MADE[vcpu].load(Ordering::Relaxed) > resets_of(machine, vcpu);
    if !smp::wait_for(|| (0..machine.servers().len()).all(has_made)) {
        crew::complain(1, vcpu as u64);
    }
    (0..10).for_each(|_| smp::relax());
    trap::begin_anew(false);
}

/// QEMU stands still when two vCPUs reset each other: there the first one alone does it.
const fn resets_of(machine: &Machine, vcpu: usize) -> u64 {
    if machine.plain && vcpu != 0 { 0 } else { CALLS / 10 }
}

fn somebody_but_the_first(machine: &Machine, seed: &mut u64) -> u64 {
    let others = machine.servers().len() - 1;
    server(1 + usize::try_from(next(seed) >> 40).unwrap_or(0) % others)
}
