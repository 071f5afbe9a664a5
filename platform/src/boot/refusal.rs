//! Why no guest is started. Each reason is one line for a person, and says what to do.

use super::fdt::TreeError;
use crate::pseries::nested::NestedError;
use core::fmt;
use hv_core::guest::bundle::BundleError;
use hv_core::guest::cmdline::CmdlineError;
use hv_core::guest::image::ImageError;
use hv_core::guest::layout::DoesNotFit;
use hv_core::guest::{MemoryError, devtree};
use hv_core::mmu::{SlotError, SpaceError};
use ppc64_arch::pvr::Pvr;

/// Something is missing or wrong outside of us.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The machine's device tree.
    Tree(TreeError),
    /// The hypervisor below.
    Nested(NestedError),
    /// The firmware left a real mode offset, so that addresses are not what we take them for.
    Offset(u64),
    /// A processor that is not one of ours.
    Processor(Pvr),
    /// A self-test in a partition: it tests the bare machine.
    NoSelfTest,
    /// The command line.
    CommandLine(CmdlineError<'static>),
    /// No kernel was loaded beside us.
    NoKernel,
    /// A kernel, initrd or bundle that lies outside memory, or over ourselves: what it is.
    Misplaced(&'static str),
    /// The bundle that holds kernel and initrd.
    Bundle(BundleError),
    /// The kernel.
    Image(ImageError),
    /// Something does not fit the guest's memory.
    Layout(DoesNotFit),
    /// More guest memory than the machine has left: what was asked for, and the most there can be.
    Memory {
        /// Bytes asked for.
        wanted: u64,
        /// Bytes that there can be.
        most: u64,
    },
    /// A hash guest where all guests are nested.
    HashNested,
    /// A hash guest on a chip whose threads are all radix or all hash.
    HashBesideRadix(Pvr),
    /// No room for a hashed table of so many bytes.
    HashTable(u64),
    /// A budget in which no guest can make progress: the least that is taken, in bytes.
    Budget(u64),
    /// The machine has no memory to speak of.
    NoFrames,
    /// The guest's device tree.
    GuestTree(devtree::TreeError),
    /// A slot of the guest's memory: a mistake of ours.
    Slot(SlotError),
    /// Writing the guest's memory before it starts.
    Write(MemoryError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree(why) => why.fmt(f),
            Self::Nested(why) => why.fmt(f),
            Self::Offset(hrmor) => {
                write!(f, "the firmware left a real mode offset (HRMOR {hrmor:#x}); start us with firmware that leaves 0, such as skiboot")
            }
            Self::Processor(pvr) => {
                write!(f, "the processor (PVR {:#010x}) is none that is supported; use -cpu power9, power10 or power11", pvr.raw())
            }
            Self::NoSelfTest => f.write_str("samewise.self-test=on is for the bare machine; start us on one, such as QEMU's powernv10"),
            Self::CommandLine(why) => command_line(f, why),
            Self::NoKernel => f.write_str("no guest kernel was loaded: with -bios give it as -kernel; with us as -kernel, give a bundle of both as -initrd"),
            Self::Misplaced(what) => {
                write!(f, "the {what} was loaded outside memory or over the hypervisor; give the machine more memory, or add kernel-addr=0x10000000")
            }
            Self::Bundle(why) => write!(f, "the bundle with the guest's kernel is broken ({why:?}); make it anew"),
            Self::Image(why) => image(f, *why),
            Self::Layout(why) => write!(
                f,
                "the guest's {:?} does not fit its {} MiB of memory; give it {} MiB or more (samewise.memory=)",
                why.what,
                why.memory_bytes >> 20,
                (why.needed >> 20) + 1
            ),
            Self::Memory { wanted, most } => write!(
                f,
                "the guest wants {} MiB of memory, and the machine can give it {} MiB; ask for less (samewise.memory=) or start QEMU with a larger -m",
                wanted >> 20,
                most >> 20
            ),
            Self::HashNested => f.write_str(
                "a hash guest (samewise.mmu=hash, samewise.twins=mixed): a guest in a partition is a nested one, and those are radix only (the hypervisor below takes no hashed table); start us on powernv, or give samewise.mmu=radix, samewise.twins=off"
            ),
            Self::HashBesideRadix(pvr) => write!(
                f,
                "a hash guest (samewise.mmu=hash, samewise.twins=mixed): on this processor (PVR {:#010x}) the threads of a core are all radix or all hash, and the hypervisor itself is radix; give samewise.mmu=radix, samewise.twins=off",
                pvr.raw()
            ),
            Self::HashTable(bytes) => write!(
                f,
                "the machine has no room for a hashed table of {} KiB in one piece; ask for a smaller one (samewise.hpt-size=) or start QEMU with a larger -m",
                bytes >> 10
            ),
            Self::Budget(least) => write!(
                f,
                "the budget is too small for a guest to make progress; give it {} KiB or more (samewise.budget=)",
                least >> 10
            ),
            Self::NoFrames => f.write_str("the machine has too little memory for a guest; start QEMU with a larger -m"),
            Self::GuestTree(why) => write!(f, "the guest's device tree cannot be written ({why:?}); shorten the command line"),
            Self::Slot(why) => write!(f, "a part of the guest's memory was refused ({why:?}); ask for another size (samewise.memory=)"),
            Self::Write(why) => write!(f, "the guest's memory cannot be prepared ({why:?}); start QEMU with a larger -m"),
        }
    }
}

fn command_line(f: &mut fmt::Formatter<'_>, why: &CmdlineError<'_>) -> fmt::Result {
    match why {
        CmdlineError::BadMemory(word) => {
            write!(f, "{word}: give a size such as 512M or 1G, a multiple of 64K")
        }
        CmdlineError::BadBudget(word) => {
            write!(f, "{word}: the budget is a multiple of 64 KiB, such as 256M")
        }
        CmdlineError::BadCpus(word) => write!(f, "{word}: give a number from 1 to 8"),
        CmdlineError::BadMmu(word) => write!(f, "{word}: the MMU is radix or hash"),
        CmdlineError::BadHptSize(word) => {
            write!(f, "{word}: the size of a hashed table is a power of two from 256K to 16G")
        }
        CmdlineError::BadGranule(word) => write!(f, "{word}: the granule is 4k, 64k, 2m or auto"),
        CmdlineError::BadSelfTest(word) => {
            write!(
                f,
                "{word}: there are samewise.self-test=on, samewise.expect-cpus=NUMBER and samewise.inject=timebase|memory"
            )
        }
        CmdlineError::BadSwitch(word) => write!(f, "{word}: give on or off"),
        CmdlineError::BadTwins(word) => write!(f, "{word}: twins are on, mixed or off"),
        CmdlineError::BadMeasures(word) => write!(f, "{word}: the measures are firmware, on or off"),
        CmdlineError::UnknownWord(word) => {
            write!(
                f,
                "{word}: not an option; there are samewise.memory=, budget=, granule=, cpus=, host-cpus=, ahead= and bench="
            )
        }
    }
}

fn image(f: &mut fmt::Formatter<'_>, why: ImageError) -> fmt::Result {
    f.write_str(match why {
        ImageError::Empty => "the guest's kernel is empty; give another file",
        ImageError::NotPowerPc => "the guest's kernel is not for PowerPC; give a ppc64le vmlinux",
        ImageError::NotElf64 => "the guest's kernel is an ELF file, but not of 64 bits; give a ppc64le vmlinux",
        ImageError::NotProgram => "the guest's kernel is an ELF file, but no program; give a ppc64le vmlinux",
        ImageError::Compressed => "the guest's kernel is compressed; unpack it first",
        ImageError::Truncated => "the guest's kernel ends before what its headers promise; fetch it again",
        ImageError::TooLarge => "the guest's kernel reaches beyond 1 GiB; give another file",
        ImageError::Overlapping => "two parts of the guest's kernel claim the same memory; give another file",
        ImageError::TooManySegments => "the guest's kernel has too many parts; give another file",
        ImageError::NoLoadSegment => "the guest's kernel has nothing to load; give another file",
        ImageError::BadEntry => "the guest's kernel begins outside itself; give another file",
    })
}

impl From<SpaceError> for Refusal {
    fn from(error: SpaceError) -> Self {
        match error {
            SpaceError::NoFrames => Self::NoFrames,
            SpaceError::BudgetTooSmall { least } => Self::Budget(least),
        }
    }
}

macro_rules! refusal_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Refusal {
            fn from(why: $from) -> Self {
                Self::$variant(why)
            }
        })*
    };
}

refusal_from! {
    TreeError => Tree,
    NestedError => Nested,
    CmdlineError<'static> => CommandLine,
    BundleError => Bundle,
    ImageError => Image,
    DoesNotFit => Layout,
    devtree::TreeError => GuestTree,
    SlotError => Slot,
    MemoryError => Write,
}
