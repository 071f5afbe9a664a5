//! A guest that keeps a pattern in every register, takes every kind of exit, and looks whether one has changed.
//!
//! The patterns change with each round, and are others on each vCPU and for each `seed=`: what leaks from one guest into another is seen
//! as well as what is lost. It prints one line for each register that is not as it was (the first twenty), one for each kind of exit, and
//! at the end `registers: N rounds, M failed`; then it powers off.
//!
//! With several vCPUs they share the rounds, all at once, and the last line ends in their number. They wait, confer and prod, so that those that share
//! CPUs move between them.
//!
//! # Which registers
//!
//! | registers | |
//! | --- | --- |
//! | GPR 0 to 31 (r1 and r13 too), CR, LR, CTR, XER with OV32 and CA32 | |
//! | VSR 0 to 63, and so every FPR and VR; FPSCR, VSCR, VRSAVE | in one of four rounds with MSR\[FP, VEC, VSX\] off |
//! | TAR, DSCR, EBBHR, EBBRR, BESCR, FSCR, PSPB, CTRL, PPR, PIDR, TIDR, DEXCR, HASHKEYR | BESCR\[GE\] and the hint bits that act are 0 |
//! | AMR, IAMR, UAMOR | but for key 0, by which the guest itself runs |
//! | SPRG0 to SPRG3, DAR, DSISR | an interrupt needs two SPRGs to find its vCPU's area: one pair in the first half of the rounds, the other in the second |
//! | SRR0, SRR1 | after storage, time-slice and facility exits, which go through HSRR0 and HSRR1; after a guest's own interrupt they hold what it left |
//! | the 32 entries of the segment buffer | where the device tree speaks of a hashed table |
//! | MMCR0 to 3, MMCRA, PMC1 to 6, SIAR, SDAR, SIER, SIER2, SIER3 | stopped: MMCR0\[FC\] is on |
//!
//! Other numbers for the same registers (DSCR 3, AMR 13, PPR32, MMCR0 779, SPRG3 259 and so on) are not tried by themselves.
//!
//! # Which not
//!
//! | registers | why |
//! | --- | --- |
//! | TB, VTB, PURR, SPURR, IC | count on, also outside of the guest or only in it |
//! | DEC | counts down; a guest's decrementer has to interrupt in time, which other tests see |
//! | PMC1 to 6 while they run | count |
//! | CFAR | the last branch that was taken; any interrupt, and a hypervisor's way back, may set it |
//! | the reservation of `ldarx` | any exit may lose it (Power ISA 3.1B Book II 1.7.2) |
//! | BHRB | records branches while it runs, promises nothing |
//! | TFHAR, TFIAR, TEXASR | transactional memory is denied (HFSCR) |
//! | DAWR, DAWRX, CIABR | set by H_SET_MODE; a guest cannot read them |
//! | PVR, PIR, TIR | cannot be written |
//! | WORT, ACOP, SPMC, MMCRS | of older or particular processors, not of Power ISA 3.0 or 3.1 |
//! | HSRR0, LPCR and what else belongs to the hypervisor | a guest that names them gets an interrupt |
//!
//! A hypervisor call may change r0, r3 to r12, CTR, XER, CR fields 0, 1, 5, 6 and 7 (PAPR); nothing else may change anything.
#![no_std]
#![no_main]

// What hostile has in common with this guest: it does not need all of it.
#[allow(dead_code)]
#[path = "../../hostile/src/console.rs"]
mod console;
#[allow(dead_code)]
#[path = "../../hostile/src/hcall.rs"]
mod hcall;
#[allow(dead_code)]
#[path = "../../hostile/src/machine.rs"]
mod machine;
#[allow(dead_code)]
#[path = "../../hostile/src/memory.rs"]
mod memory;
#[allow(dead_code)]
#[path = "../../hostile/src/rtas.rs"]
mod rtas;

#[allow(dead_code)]
#[path = "../../hostile/src/smp.rs"]
mod smp;

mod area;
mod exits;
mod hashed;
mod seed;
mod set;
mod sprs;
mod stale;
mod tables;
mod together;
mod trial;

use console::say;
use machine::Machine;

core::arch::global_asm!(include_str!("entry.s"), include_str!("trial.s"), include_str!("stubs.s"));

/// Where the assembly goes on, in real mode with a stack and the device tree's address.
#[unsafe(no_mangle)]
extern "C" fn guest_main(tree: u64) -> ! {
    let little = hcall::set_little_endian_interrupts();
    let machine = match Machine::discover(tree) {
        Ok(machine) => machine,
        Err(why) => give_up(why),
    };
    console::use_terminal(machine.terminal);
    if little != hcall::SUCCESS {
        give_up("no little-endian interrupts");
    }
    let mapped = if hashed::discover(tree) {
        say!("registers: a hashed table");
        hashed::identity(&machine)
    } else {
        tables::identity(&machine)
    };
    if let Err(why) = mapped {
        give_up(why);
    }
    say!("registers: seed {:#x}", seed::of(tree, machine.servers()[0]));
    if let Err(why) = together::run(&machine, tree) {
        give_up(why);
    }
    rtas::power_off(machine.power_off)
}

/// Where a vCPU that was started goes on. When it is done it stops, while the first one still prints.
#[unsafe(no_mangle)]
extern "C" fn guest_started(area: u64) -> ! {
    if let Err(why) = together::join(area::vcpu(area)) {
        give_up(why);
    }
    together::stop()
}

/// An interrupt came when none could; r3 is its vector.
#[unsafe(no_mangle)]
extern "C" fn guest_stray(area: u64) -> ! {
    let (vector, nip, msr) = area::stray(area);
    let vcpu = area::vcpu(area);
    say!("registers: FAIL vector {vector:#x} outside of a trial of vCPU {vcpu}, SRR0 {nip:#x}, SRR1 {msr:#x}");
    give_up("an interrupt outside of a trial")
}

/// Nothing can be shown. The last line still has the form that a script reads.
fn give_up(why: &str) -> ! {
    say!("registers: FAIL {why}");
    say!("registers: 0 rounds, 1 failed");
    rtas::power_off(machine::known_power_off())
}

/// A panic is a bug of this guest, and counts as a failure.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    say!("registers: FAIL {info}");
    say!("registers: 0 rounds, 1 failed");
    rtas::power_off(machine::known_power_off())
}
