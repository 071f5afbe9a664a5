//! A guest of a few instructions: its memory, its programs, and a run of one of them to its call.
//!
//! | guest real | what |
//! | --- | --- |
//! | 0x300 | its data storage interrupt: reads DAR to r6 and DSISR to r7, and calls |
//! | 0x1000 | programs of two to four instructions: r4 is the address that they access |
//! | 0x2000 | a page that is there from the beginning |
//! | 0x30000, 0x31000, 0x40000 | its process table, a table, the root of its tree |
//! | 0x90000 and others | pages of zeros that nobody has touched |
//! | 0x200000, 0x210000, 0x220000 | pages of an image: instructions, data, and a table |
//!
//! Its tree maps effective addresses in quadrant 3, which is process 0's: from [`KERNEL`] on through a table that is there, from [`FAR`] on through the image's, which is not. Both lead
//! to the same memory.

use super::Hardware;
use crate::boot::refusal::Refusal;
use crate::crew;
use crate::powernv::world::Bare;
use alloc::boxed::Box;
use core::fmt;
use hv_core::guest::host::{Next, Short};
use hv_core::guest::inject::{Interrupt, deliver};
use hv_core::guest::vcpu::Entry;
use hv_core::guest::{Exit, Vcpu, World};
use hv_core::mmu::{Cpu, Granule, Memory, Reflect, Resolution, Seat, SlotSpec, Source, Space, StorageFault};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::cpu;
use ppc64_arch::radix::{geometry, pate};
use ppc64_arch::trap::Msr;

/// Its partition.
pub const LPID: u32 = 2;
/// Programs: a load, a store, a jump, and a loop that loads and counts.
pub const LOAD: u64 = 0x1000;
/// A store of r5.
pub const STORE: u64 = 0x1100;
/// A jump.
pub const JUMP: u64 = 0x1200;
/// Loads from r4, and counts at r7, for ever.
pub const LOOP: u64 = 0x1300;
/// A page that is there.
pub const THERE: u64 = 0x2000;
/// Effective addresses that are translated by tables that are there.
pub const KERNEL: u64 = 0xc000_0000_0000_0000;
/// Effective addresses that are translated by a table in the image.
pub const FAR: u64 = 0xc000_0080_0000_0000;
/// Image pages.
pub const IMAGE_CODE: u64 = 0x20_0000;
/// To be written.
pub const IMAGE_DATA: u64 = 0x21_0000;
/// A table of the guest's.
pub const IMAGE_TABLE: u64 = 0x22_0000;

const HANDLER: u64 = 0x300;
const PROCESS_TABLE: u64 = 0x3_0000;
const TABLE: u64 = 0x3_1000;
const ROOT: u64 = 0x4_0000;
const ZEROS: u64 = 0x10_0000;
const PAGE: usize = 4096;

/// Instructions.
mod word {
    pub const SC1: u32 = 0x4400_0022;
    /// ld r5,0(r4)
    pub const LD: u32 = 0xe8a4_0000;
    /// std r5,0(r4)
    pub const STD: u32 = 0xf8a4_0000;
    /// mtctr r4
    pub const MTCTR: u32 = 0x7c89_03a6;
    pub const BCTR: u32 = 0x4e80_0420;
    /// addi r6,r6,1
    pub const ADDI: u32 = 0x38c6_0001;
    /// std r6,0(r7)
    pub const STD_COUNT: u32 = 0xf8c7_0000;
    /// b .-12
    pub const B_BACK: u32 = 0x4bff_fff4;
    /// mfdar r6
    pub const MFDAR: u32 = 0x7cd3_02a6;
    /// mfdsisr r7
    pub const MFDSISR: u32 = 0x7cf2_02a6;
}

/// A page whose first doubleword counts.
#[repr(C, align(4096))]
struct Page([u64; PAGE / 8]);

impl Page {
    const fn with(first: u64) -> Self {
        let mut page = [0; PAGE / 8];
        page[0] = first;
        Self(page)
    }
}

/// The first doubleword of the image page with instructions, which is also its data.
pub const IMAGE_WORD: u64 = word::SC1 as u64;
/// Of the guest's own tree: all of its first GiB, for its kernel, with R and C set.
const LEAF: u64 = 0xc000_0000_0000_018f;
const TABLE_VALID: u64 = 1 << 63;
const TABLE_BITS: u64 = 9;

static CODE: Page = Page::with(IMAGE_WORD);
static TABLE_PAGE: Page = Page::with(LEAF.to_be());

/// The image page's first doubleword as it stands in the hypervisor.
pub fn image_word() -> u64 {
    // SAFETY: 1. a static is read; 2. volatile: it is asked whether somebody wrote it.
    unsafe { (&raw const CODE.0[0]).read_volatile() }
}

/// The guest's memory, of which nothing is there yet. On the heap, as is the seat: together they would take most of the stack.
///
/// # Errors
/// [`Refusal`]: no frame for the root.
#[inline(never)]
pub fn space(memory: &Memory<Hardware>) -> Result<Box<Space<'_, Hardware>>, Refusal> {
    let space = Box::new(Space::new(memory, LPID, Granule::Fixed(LeafSize::Size4K))?);
    let image =
        |page: &'static Page| Source::Image { at: HostReal::new((&raw const *page).addr() as u64), bytes: PAGE as u64 };
    let slots = [
        (0, ZEROS, Source::Zero),
        (IMAGE_CODE, PAGE as u64, image(&CODE)),
        (IMAGE_DATA, PAGE as u64, image(&CODE)),
        (IMAGE_TABLE, PAGE as u64, image(&TABLE_PAGE)),
    ];
    for (base, bytes, source) in slots {
        let spec = SlotSpec { base: GuestReal::new(base), bytes, source, read_only: false };
        // SAFETY: 1. the images are immutable statics.
        unsafe { space.add_slot(&spec)? }
    }
    Ok(space)
}

/// The boot CPU at that memory, with programs and tables written.
///
/// # Errors
/// [`Refusal`]: there was no frame for them.
#[inline(never)]
pub fn seat<'a, 'm>(space: &'a Space<'m, Hardware>) -> Result<Box<Seat<'a, 'm, Hardware>>, Refusal> {
    let seat = Box::new(Seat::new(space, crew::cpu(0, true)?));
    program(&seat, HANDLER, &[word::MFDAR, word::MFDSISR, word::SC1])?;
    program(&seat, LOAD, &[word::LD, word::SC1])?;
    program(&seat, STORE, &[word::STD, word::SC1])?;
    program(&seat, JUMP, &[word::MTCTR, word::BCTR])?;
    program(&seat, LOOP, &[word::LD, word::ADDI, word::STD_COUNT, word::B_BACK])?;
    doubleword(&seat, THERE, 0)?;
    // A process's entry is like a partition's, without the bit that says who translates (Power ISA 3.1B Book III 6.7.6.2).
    let process = pate::partition_scoped(HostReal::new(ROOT), &geometry::ROOT) & !TABLE_VALID;
    doubleword(&seat, PROCESS_TABLE, process.to_be())?;
    doubleword(&seat, ROOT, (TABLE_VALID | TABLE | TABLE_BITS).to_be())?;
    doubleword(&seat, ROOT + 8, (TABLE_VALID | IMAGE_TABLE | TABLE_BITS).to_be())?;
    doubleword(&seat, TABLE, LEAF.to_be())?;
    space.set_process_table(pate::process_scoped(GuestReal::new(PROCESS_TABLE), 0));
    Ok(seat)
}

/// Leaves the seat.
#[inline(never)]
pub fn leave(seat: Box<Seat<'_, '_, Hardware>>) -> Box<Cpu> {
    Box::new((*seat).leave())
}

/// Gives back all that the guest was made of.
#[inline(never)]
pub fn end(space: Box<Space<'_, Hardware>>, mut cpu: Box<Cpu>, memory: &Memory<Hardware>) {
    (*space).destroy(&mut cpu);
    cpu.frames.drain(&memory.pool);
}

fn program(seat: &Seat<'_, '_, Hardware>, at: u64, words: &[u32]) -> Result<(), Refusal> {
    for (offset, word) in (0..).step_by(4).zip(words) {
        write(seat, at + offset, &word.to_le_bytes())?;
    }
    seat.make_fetchable(GuestReal::new(at), 4 * words.len() as u64);
    Ok(())
}

/// Writes a doubleword of the guest's memory as it is in ours.
///
/// # Errors
/// [`Refusal`]: no frame for it.
pub fn doubleword(seat: &Seat<'_, '_, Hardware>, at: u64, value: u64) -> Result<(), Refusal> {
    write(seat, at, &value.to_ne_bytes())
}

fn write(seat: &Seat<'_, '_, Hardware>, at: u64, bytes: &[u8]) -> Result<(), Refusal> {
    seat.write(GuestReal::new(at), bytes).map_err(|why| Refusal::Write(why.into()))
}

/// Reads one; `None` if it cannot be reached.
pub fn read(seat: &Seat<'_, '_, Hardware>, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    seat.read(GuestReal::new(at), &mut bytes).ok()?;
    Some(u64::from_ne_bytes(bytes))
}

/// A processor about to run a program on an address; `translated`: with its own translation on.
pub fn processor(program: u64, address: u64, translated: bool) -> Vcpu {
    let entry = Entry { nip: program, fdt: 0, little_endian: true };
    let mut vcpu = Vcpu::at_reset(0, LPID, entry, cpu::timebase());
    vcpu.regs.gpr[4] = address;
    vcpu.regs.gpr[5] = 0x5a5a_1234_8765_a5a5;
    vcpu.regs.gpr[7] = THERE;
    if translated {
        vcpu.regs.msr |= (Msr::IR | Msr::DR).bits();
        vcpu.regs.nip |= KERNEL;
    }
    vcpu
}

/// What happened on the way to the guest's call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Story {
    /// Storage interrupts.
    pub exits: u32,
    /// The first of them.
    pub first: Option<StorageFault>,
    /// How many were the guest's own in the end.
    pub reflected: u32,
}

/// Why there was no call.
#[derive(Clone, Copy, Debug)]
pub enum Stuck {
    /// It did not come in time.
    Silent,
    /// A storage interrupt was not resolved.
    Unresolved(Resolution),
    /// Storage interrupts without end.
    Endless,
    /// Something else ended the stay.
    Other(Exit),
}

/// More storage interrupts than any program here can have.
const ENDLESS: u32 = 50;

/// What storage interrupts come to, on the short way.
struct Watch<'w, 'a, 'm> {
    seat: &'w Seat<'a, 'm, Hardware>,
    story: Story,
    /// The last one, if it was not simply resolved.
    left: Option<(StorageFault, Resolution)>,
}

impl Short for Watch<'_, '_, '_> {
    fn storage(&mut self, _: &mut Vcpu, fault: &StorageFault) -> Next {
        self.story.exits += 1;
        self.story.first.get_or_insert(*fault);
        match self.seat.fault(fault) {
            Resolution::Resume if self.story.exits < ENDLESS => Next::Resume,
            other => {
                self.left = Some((*fault, other));
                Next::Begun
            }
        }
    }

    fn call(&mut self, _: &mut Vcpu) -> Next {
        Next::Whole
    }
}

/// Runs the guest to its call, at most for `ticks`.
///
/// # Errors
/// See [`Stuck`].
pub fn go(world: &mut Bare, seat: &Seat<'_, '_, Hardware>, vcpu: &mut Vcpu, ticks: u64) -> Result<Story, Stuck> {
    let mut watch = Watch { seat, story: Story::default(), left: None };
    let deadline = cpu::timebase().saturating_add(ticks);
    while cpu::timebase() < deadline {
        match world.enter(vcpu, deadline, &mut watch) {
            Exit::Hcall => return Ok(watch.story),
            Exit::Hdec | Exit::External => {}
            Exit::Begun => match watch.left.take() {
                Some((fault, Resolution::Reflect(why))) => reflect(vcpu, &mut watch.story, &fault, why),
                Some((_, Resolution::Resume)) | None => return Err(Stuck::Endless),
                Some((_, other)) => return Err(Stuck::Unresolved(other)),
            },
            other => return Err(Stuck::Other(other)),
        }
    }
    Err(Stuck::Silent)
}

fn reflect(vcpu: &mut Vcpu, story: &mut Story, fault: &StorageFault, why: Reflect) {
    story.reflected += 1;
    deliver(vcpu, Interrupt::from_fault(fault.access, fault.ea, why));
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("the guest did not call in time"),
            Self::Unresolved(what) => write!(f, "ended as {what:?}"),
            Self::Endless => f.write_str("storage interrupts without end"),
            Self::Other(exit) => write!(f, "left the guest by {exit:?}"),
        }
    }
}
