//! Everything of one program on a CPU that a hypervisor which uses none of it leaves in the hardware: floating point, vectors, and the special-purpose
//! registers of facilities that only the guest uses.
//!
//! As long as one vCPU runs on a CPU, nothing of this need move: it stays where it is across an exit. When another takes its place,
//! [`Extended::save`] and [`Extended::load`] exchange it, all at once.
//!
//! # What is in it
//!
//! | what | registers |
//! | --- | --- |
//! | numbers | VSR 0 to 63 (FPR and VR are parts of them), FPSCR, VSCR, VRSAVE |
//! | branches | TAR, EBBHR, EBBRR, BESCR |
//! | storage | DSCR, AMR, IAMR, UAMOR, DAR, DSISR |
//! | control | FSCR, PSPB, CTRL; TIDR (Power ISA 3.0); DEXCR, HASHKEYR (Power ISA 3.1) |
//! | performance monitor | MMCR0, 1, 2, A, PMC1 to 6, SIAR, SDAR, SIER; MMCR3, SIER2, SIER3 (Power ISA 3.1) |
//!
//! # What is not
//!
//! | register | why |
//! | --- | --- |
//! | GPR, CR, LR, CTR, XER, SRR0, SRR1, SPRG, PIDR, PPR, CFAR | the world switch exchanges them at each exit |
//! | LPCR, HFSCR, AMOR, DPDES, DAWR, CIABR, PURR, SPURR, VTB, IC | the hypervisor's own, given to a guest at each entry |
//! | TB, DEC | run on; a guest's DEC is kept as the time at which it expires |
//! | TFHAR, TFIAR, TEXASR | transactional memory is denied (HFSCR) |
//! | BHRB | cleared at each load: nobody sees another's branches. It records what happened to run, and promises nothing |
//! | the reservation of `ldarx` | lost at each exit, as the architecture allows |

use crate::spr::live;
use crate::spr::number;
use core::arch::asm;

/// Declares a group of special-purpose registers that are just read and written, each under its number.
macro_rules! group {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $field:ident: $number:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$what])* pub $field: u64,)*
        }

        impl $name {
            fn save(&mut self) {
                $(self.$field = live::read::<{ number::$number }>();)*
            }

            /// # Safety
            /// As for [`Extended::load`].
            unsafe fn load(&self) {
                // SAFETY: 1. the caller gives the CPU to whoever owns these values; 2. none of the registers in any group decides what the
                // hypervisor itself reaches: it runs in hypervisor state, with translation off.
                unsafe { $(live::write::<{ number::$number }>(self.$field);)* }
            }
        }
    };
}

group! {
    /// Facilities of every processor from Power ISA 3.0 on.
    Facilities {
        /// VR Save Register, 32 bits.
        vrsave: VRSAVE,
        /// Target Address Register.
        tar: TAR,
        /// Event-Based Branch Handler Register.
        ebbhr: EBBHR,
        /// Event-Based Branch Return Register.
        ebbrr: EBBRR,
        /// Branch Event Status and Control Register.
        bescr: BESCR,
        /// Data Stream Control Register.
        dscr: DSCR,
        /// User Authority Mask Override Register.
        uamor: UAMOR,
        /// Authority Mask Register.
        amr: AMR,
        /// Instruction Authority Mask Register.
        iamr: IAMR,
        /// Data Address Register.
        dar: DAR,
        /// Data Storage Interrupt Status Register, 32 bits.
        dsisr: DSISR,
        /// Facility Status and Control Register.
        fscr: FSCR,
        /// Problem State Priority Boost Register, 32 bits.
        pspb: PSPB,
    }
}

group! {
    /// The performance monitor, but for MMCR0, which stops and starts it (Power ISA 3.1B Book III chapter 11).
    Monitor {
        /// Monitor Mode Control Register 1.
        mmcr1: MMCR1,
        /// Monitor Mode Control Register 2.
        mmcr2: MMCR2,
        /// Monitor Mode Control Register A.
        mmcra: MMCRA,
        /// Performance Monitor Counter 1, 32 bits like the others.
        pmc1: PMC1,
        /// Counter 2.
        pmc2: PMC2,
        /// Counter 3.
        pmc3: PMC3,
        /// Counter 4.
        pmc4: PMC4,
        /// Counter 5.
        pmc5: PMC5,
        /// Counter 6.
        pmc6: PMC6,
        /// Sampled Instruction Address Register.
        siar: SIAR,
        /// Sampled Data Address Register.
        sdar: SDAR,
        /// Sampled Instruction Event Register.
        sier: SIER,
    }
}

group! {
    /// What only Power ISA 3.0 has.
    OnlyV30 {
        /// Thread Identification Register (Power ISA 3.0B Book III chapter 5).
        tidr: TIDR,
    }
}

group! {
    /// What Power ISA 3.1 added.
    SinceV31 {
        /// Monitor Mode Control Register 3.
        mmcr3: MMCR3,
        /// Sampled Instruction Event Register 2.
        sier2: SIER2,
        /// Sampled Instruction Event Register 3.
        sier3: SIER3,
        /// Dynamic Execution Control Register.
        dexcr: DEXCR,
        /// Hash Key Register, of `hashst` and `hashchk`: a secret of whom it belongs to.
        hashkeyr: HASHKEYR,
    }
}

/// The extended state of one vCPU. All zeros is a state to begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Extended {
    numbers: Numbers,
    /// Monitor Mode Control Register 0.
    pub mmcr0: u64,
    /// Control Register, 32 bits: the run latch.
    pub ctrl: u64,
    /// Facilities of every supported processor.
    pub facilities: Facilities,
    /// The performance monitor.
    pub monitor: Monitor,
    /// TIDR.
    pub only_v30: OnlyV30,
    /// Left as it is on an older processor.
    pub since_v31: SinceV31,
}

/// Floating-point and vector registers, as `stxv` leaves them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
struct Numbers {
    vsr: [u128; 64],
    vscr: u128,
    fpscr: u64,
}

const _: () = assert!(core::mem::offset_of!(Numbers, vscr) == 0x400 && core::mem::offset_of!(Numbers, fpscr) == 0x410);

impl Default for Numbers {
    fn default() -> Self {
        Self { vsr: [0; 64], vscr: 0, fpscr: 0 }
    }
}

/// MMCR0\[FC\]: all counters stand still (bit 32).
const FREEZE: u64 = 1 << 31;

impl Extended {
    /// Takes the CPU's state. The performance monitor stands still afterwards; everything else in the CPU is as it was, so that going on without
    /// [`Extended::load`] is right but for that.
    ///
    /// `v31`: the processor has Power ISA 3.1.
    ///
    /// # Safety
    /// In hypervisor state, or as a guest's own hypervisor that may use every facility of the list: a facility that is denied would end in an
    /// interrupt that nobody expects.
    pub unsafe fn save(&mut self, v31: bool) {
        self.mmcr0 = live::read::<{ number::MMCR0 }>();
        freeze();
        self.monitor.save();
        self.facilities.save();
        self.ctrl = live::read::<{ number::CTRL }>();
        if v31 {
            self.since_v31.save()
        } else {
            self.only_v30.save()
        }
        // SAFETY: 1. the caller may use the facilities; 2. the structure is borrowed mutably, and laid out as asserted.
        unsafe { save_numbers(&mut self.numbers) }
    }

    /// Gives the CPU this state, whatever was in it before.
    ///
    /// # Safety
    /// As for [`Extended::save`]; and what the CPU held must have been saved, or belong to nobody any more. The caller runs with translation off and interrupts
    /// disabled: AMR and IAMR restrict storage accesses, and the performance monitor may have an interrupt waiting.
    pub unsafe fn load(&self, v31: bool) {
        freeze();
        // SAFETY: 1. the caller has given the CPU away; 2. the counters stand still until MMCR0 is written, which comes last.
        unsafe {
            self.monitor.load();
            self.facilities.load();
            live::write::<{ number::CTRL_WRITE }>(self.ctrl);
            if v31 {
                self.since_v31.load();
            } else {
                self.only_v30.load();
            }
            load_numbers(&self.numbers);
            clear_branch_history();
            live::write::<{ number::MMCR0 }>(self.mmcr0);
        }
        super::isync();
    }
}

/// Stops the performance monitor, and takes back its interrupt if one waits.
fn freeze() {
    // SAFETY: 1. counters that stand still, and alerts that are off, change nothing else.
    unsafe { live::write::<{ number::MMCR0 }>(FREEZE) };
    super::isync();
}

/// `clrbhrb` (Power ISA 3.1B Book III chapter 11), as a number: it empties the Branch History Rolling Buffer.
///
/// # Safety
/// The facility must be permitted.
unsafe fn clear_branch_history() {
    // SAFETY: 1. the caller may use the facility; 2. nothing but that buffer changes.
    unsafe { asm!(".long 0x7c00035c", options(nomem, nostack, preserves_flags)) }
}

/// Instructions over all 64 VSRs, 16 bytes apart from `{at}` on.
macro_rules! all_vsrs {
    ($instruction:literal) => {
        concat!(".set n, 0\n.rept 64\n", $instruction, " n, 16*n({at})\n.set n, n + 1\n.endr")
    };
}

/// A function of its own, under a name that the check of the binary knows: everywhere else such instructions are an error.
///
/// # Safety
/// As for [`Extended::save`].
#[inline(never)]
unsafe fn save_numbers(into: &mut Numbers) {
    // SAFETY: 1. the caller may use the facilities, and MSR is put back; 2. every byte that is written lies in the structure, whose alignment stxv
    // and stfd need not even have; 3. VSR 0 is stored before FPR 0 and VR 0 are used, and loaded again: no register of the guest changes; 4. this
    // crate's code uses none of the registers, so none need be named as changed.
    unsafe {
        asm!(
            "mfmsr {old}",
            "oris {on}, {old}, 0x280",
            "ori {on}, {on}, 0x2000",
            "mtmsrd {on}",
            "isync",
            all_vsrs!("stxv"),
            "mffs 0",
            "stfd 0, 0x410({at})",
            "mfvscr 0",
            "stxv 32, 0x400({at})",
            "lxv 0, 0({at})",
            "lxv 32, 0x200({at})",
            "mtmsrd {old}",
            "isync",
            at = in(reg_nonzero) core::ptr::from_mut(into),
            old = out(reg) _,
            on = out(reg) _,
            options(nostack, preserves_flags)
        );
    }
}

/// A function of its own, as [`save_numbers`] is.
///
/// # Safety
/// As for [`Extended::load`].
#[inline(never)]
unsafe fn load_numbers(from: &Numbers) {
    // SAFETY: 1. the caller may use the facilities, and MSR is put back; 2. only the structure is read; 3. the caller has given the registers away.
    unsafe {
        asm!(
            "mfmsr {old}",
            "oris {on}, {old}, 0x280",
            "ori {on}, {on}, 0x2000",
            "mtmsrd {on}",
            "isync",
            "lfd 0, 0x410({at})",
            "mtfsf 0xff, 0, 1, 0",
            "lxv 32, 0x400({at})",
            "mtvscr 0",
            all_vsrs!("lxv"),
            "mtmsrd {old}",
            "isync",
            at = in(reg_nonzero) core::ptr::from_ref(from),
            old = out(reg) _,
            on = out(reg) _,
            options(nostack, preserves_flags)
        );
    }
}
