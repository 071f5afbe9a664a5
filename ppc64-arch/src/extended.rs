//! Everything of one program on a CPU that a hypervisor which uses none of it leaves in the hardware: floating point, vectors, and the special-purpose
//! registers of facilities that only the guest uses.
//!
//! As long as one vCPU runs on a CPU, nothing of this need move: it stays where it is across an exit. When another takes its place,
//! `Extended::save` and `Extended::load`, which are there for powerpc64 only (`cpu`), exchange it, all at once.
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

#[cfg(target_arch = "powerpc64")]
use crate::spr::{live, number};

/// Declares a group of special-purpose registers that are just read and written, each under its number.
macro_rules! group {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $field:ident: $number:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$what])* pub $field: u64,)*
        }

        #[cfg(target_arch = "powerpc64")]
        impl $name {
            pub(crate) fn save(&mut self) {
                $(self.$field = live::read::<{ number::$number }>();)*
            }

            /// # Safety
            /// As for `Extended::load`.
            pub(crate) unsafe fn load(&self) {
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
    pub(crate) numbers: Numbers,
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
pub(crate) struct Numbers {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_begins_with_nothing_in_it() {
        let state = Extended::default();
        assert_eq!(
            (state.mmcr0, state.ctrl, state.facilities, state.monitor),
            (0, 0, Facilities::default(), Monitor::default())
        );
        assert_eq!(core::mem::align_of::<Extended>(), 16);
    }
}
