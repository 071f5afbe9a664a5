//! Each kind of storage interrupt, raised once by a guest: it comes with the cause and the address that the manual says, it is resolved, and the guest goes on, after one exit.

use super::guest::{self, FAR, IMAGE_CODE, IMAGE_DATA, IMAGE_TABLE, JUMP, LOAD, STORE, Stuck, THERE};
use super::{Hardware, Report};
use crate::boot::fdt::Machine;
use crate::powernv::world::Bare;
use hv_core::guest::Vcpu;
use hv_core::mmu::{Access, Seat};
use ppc64_arch::trap::Hdsisr;

/// Seconds for one of them. An emulator on a busy machine needs some.
const PATIENCE: u64 = 10;
/// Pages that nobody has touched, in no order that would have the next one made ahead.
const LOADED: u64 = 0xe_0000;
const STORED: u64 = 0x9_0000;
/// In no slot.
const OUTSIDE: u64 = 1 << 30;

/// One of them: what raises it, and what is to be seen.
struct Kind {
    name: &'static str,
    program: u64,
    /// Effective.
    address: u64,
    access: Access,
    causes: Hdsisr,
    /// The guest real page that ASDR is to name.
    page: u64,
    /// It is the guest's own interrupt in the end.
    reflected: bool,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "storage-load",
        program: LOAD,
        address: LOADED,
        access: Access::Read,
        causes: Hdsisr::NO_TRANSLATION,
        page: LOADED,
        reflected: false,
    },
    Kind {
        name: "storage-store",
        program: STORE,
        address: STORED,
        access: Access::Write,
        causes: Hdsisr::NO_TRANSLATION.union(Hdsisr::STORE),
        page: STORED,
        reflected: false,
    },
    Kind {
        name: "storage-fetch",
        program: JUMP,
        address: IMAGE_CODE,
        access: Access::Fetch,
        causes: Hdsisr::NO_TRANSLATION,
        page: IMAGE_CODE,
        reflected: false,
    },
    Kind {
        name: "storage-copy",
        program: STORE,
        address: IMAGE_DATA,
        access: Access::Write,
        causes: Hdsisr::PROTECTION.union(Hdsisr::STORE),
        page: IMAGE_DATA,
        reflected: false,
    },
    Kind {
        name: "storage-walk",
        program: LOAD,
        address: FAR + THERE,
        access: Access::Read,
        causes: Hdsisr::NO_TRANSLATION.union(Hdsisr::TABLE_WALK),
        page: IMAGE_TABLE,
        reflected: false,
    },
    Kind {
        name: "storage-outside",
        program: LOAD,
        address: OUTSIDE,
        access: Access::Read,
        causes: Hdsisr::NO_TRANSLATION,
        page: OUTSIDE,
        reflected: true,
    },
];

/// A line for each.
#[inline(never)]
pub fn run(report: &mut Report, machine: &Machine, world: &mut Bare, seat: &Seat<'_, '_, Hardware>) {
    // The page to be copied has to be there, and shared.
    let shared = guest::read(seat, IMAGE_DATA);
    for kind in &KINDS {
        let translated = kind.address >= FAR;
        let mut vcpu = guest::processor(kind.program, kind.address, translated);
        let ticks = machine.timebase_hz.saturating_mul(PATIENCE);
        let story = guest::go(world, seat, &mut vcpu, ticks);
        tell(report, kind, &vcpu, story);
    }
    let (image, copy) = (guest::image_word(), guest::read(seat, IMAGE_DATA));
    let stored = guest::processor(STORE, 0, false).regs.gpr[5];
    report.verdict(
        "storage-image",
        shared == Some(guest::IMAGE_WORD) && image == guest::IMAGE_WORD && copy == Some(stored),
        format_args!("the guest's copy holds {:#x}, the image still {image:#x}", copy.unwrap_or(0)),
    );
}

fn tell(report: &mut Report, kind: &Kind, vcpu: &Vcpu, story: Result<guest::Story, Stuck>) {
    let story = match story {
        Ok(story) => story,
        Err(why) => return report.check(kind.name, Err(format_args!("{why}; nip {:#x}", vcpu.regs.nip))),
    };
    let Some(fault) = story.first else {
        return report.check(kind.name, Err(format_args!("no storage interrupt came")));
    };
    let cause = Hdsisr::from_bits_retain(fault.cause.unwrap_or(0));
    let named = fault.claim.align_down(ppc64_arch::addr::LeafSize::Size4K).raw();
    let ours = fault.access == kind.access && cause.contains(kind.causes) && named == kind.page;
    // A reflected one arrives with the address in DAR, which the guest's handler puts into r6.
    let told = !kind.reflected || vcpu.regs.gpr[6] == kind.address;
    let once = story.exits == 1 && story.reflected == u32::from(kind.reflected);
    report.verdict(
        kind.name,
        ours && told && once,
        format_args!(
            "{:?}, {} {:#010x}, ASDR {:#x}, {} exit(s), {} reflected",
            fault.access,
            if fault.access == Access::Fetch { "HSRR1" } else { "HDSISR" },
            cause.bits(),
            fault.claim.raw(),
            story.exits,
            story.reflected
        ),
    );
}
