//! How often to look again: a few times without a lock, then with mutations locked out; and what happens when memory runs out.
//!
//! Nothing here waits without a bound. What takes longer is the run loop's to wait for: another vCPU may have something to do.

use super::{Attempt, Open, Request, Short, attempt};
use crate::delays::bound;
use crate::mmu::discipline::Discipline;
use crate::mmu::hardware::Hardware;
use crate::mmu::reclaim::{Room, make_room};
use crate::mmu::request::{Access, Resolution};
use crate::mmu::seat::Cpu;
use crate::mmu::space::Space;
use crate::mmu::stats::{Outcome, Reason};
use crate::sync::relax;
use ppc64_arch::addr::GuestReal;

/// Attempts without a lock before the serialised path.
const SPECULATIVE_ATTEMPTS: u32 = 4;
/// Attempts with the lock before the guest is sent to try again. Only lost races make one fail there, each of which is somebody
/// else's success, so this is a bound on waiting and not on correctness.
const SERIALISED_ATTEMPTS: u32 = 64;
/// Looks at the lock before the run loop waits instead.
const LOCK_TURNS: u32 = if cfg!(loom) { 2 } else { 256 };
/// Batches of pages taken out for one fault. Each one freed something that other CPUs were faster to use.
const BATCHES: u32 = if cfg!(loom) { 2 } else { 256 };
/// Prunings for one fault: more would only free the tables that the fault itself has made.
const PRUNINGS: u32 = 2;

const NO_MEMORY: (Outcome, Resolution) = (Outcome::OutOfMemory, Resolution::OutOfMemory);

/// Goes on where the first attempt ended without a result, or without memory. It takes the request in pieces, which go by registers.
#[cold]
pub(super) fn resolve_patiently<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    desk: D::Desk<'_>,
    cpu: &mut Cpu,
    at: GuestReal,
    (access, own): (Access, bool),
    first: Attempt,
) -> Resolution {
    let request = Request { at, access, own };
    let (mut attempts, mut batches, mut prunings) = (1, 0, 0);
    let mut end = first;
    let (outcome, resolution) = loop {
        match end.end(request.at) {
            Ok(ended) => break ended,
            Err(Open::Again(reason)) => {
                cpu.stats.again(reason);
                attempts += 1;
            }
            Err(Open::Short(Short::Tables)) if prunings == PRUNINGS => break NO_MEMORY,
            Err(Open::Short(short)) => match make_room(space, cpu, short) {
                Room::Made if short == Short::Tables => prunings += 1,
                Room::Made if batches < bound(BATCHES) => batches += 1,
                // There is nobody to wait for: the guest tries again.
                Room::Made => {
                    cpu.stats.again(Reason::GaveWay);
                    break (Outcome::NotSame, Resolution::Resume);
                }
                Room::Busy => {
                    end = Attempt::WaitForMutation;
                    continue;
                }
                Room::None => break NO_MEMORY,
            },
        }
        end = if attempts <= bound(SPECULATIVE_ATTEMPTS) {
            look_again(space, desk, cpu, request)
        } else {
            serialised(space, desk, cpu, request)
        };
    };
    cpu.stats.fault(request.access, request.own, outcome);
    resolution
}

/// The same attempts with mutations locked out, so that no slot is busy and no table goes away.
fn serialised<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    desk: D::Desk<'_>,
    cpu: &mut Cpu,
    request: Request,
) -> Attempt {
    cpu.stats.again(Reason::Serialised);
    for _ in 0..LOCK_TURNS {
        if let Some(_no_mutation) = space.try_lock() {
            cpu.stats.locks += 1;
            return locked(space, desk, cpu, request);
        }
        relax();
    }
    Attempt::WaitForMutation
}

/// One more attempt.
#[inline(never)]
fn look_again<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    desk: D::Desk<'_>,
    cpu: &mut Cpu,
    request: Request,
) -> Attempt {
    attempt(space, desk, cpu, request)
}

fn locked<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    desk: D::Desk<'_>,
    cpu: &mut Cpu,
    request: Request,
) -> Attempt {
    for _ in 0..bound(SERIALISED_ATTEMPTS) {
        match look_again(space, desk, cpu, request) {
            Attempt::Again(reason) => cpu.stats.again(reason),
            done => return done,
        }
    }
    cpu.stats.again(Reason::GaveWay);
    Attempt::Resumed(Outcome::NotSame)
}
