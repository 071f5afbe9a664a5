//! Special Purpose Registers: their fields under the names and bit numbers of the manual.
//!
//! The fields are plain data (`LocalRegisterCopy<u64, LPCR::Register>` holds a value of one), because under nested virtualization
//! LPCR and HFSCR are not registers of ours at all: they are doublewords that are handed to the host below. Registers
//! that can be read and written as such are in `live` (powerpc64 only).

mod fields;
pub use fields::{HFSCR, LPCR};
pub use tock_registers::LocalRegisterCopy;

#[cfg(target_arch = "powerpc64")]
pub mod hypervisor;
#[cfg(target_arch = "powerpc64")]
pub mod live;

/// Register numbers for `mfspr` and `mtspr` (Power ISA 3.1B Book III chapter 5, SPR encodings).
pub mod number {
    /// Data Stream Control Register.
    pub const DSCR: u32 = 17;
    /// Data Storage Interrupt Status Register.
    pub const DSISR: u32 = 18;
    /// Data Address Register.
    pub const DAR: u32 = 19;
    /// Decrementer.
    pub const DEC: u32 = 22;
    /// Save/Restore Register 0.
    pub const SRR0: u32 = 26;
    /// Save/Restore Register 1.
    pub const SRR1: u32 = 27;
    /// Authority Mask Register.
    pub const AMR: u32 = 29;
    /// Instruction Authority Mask Register.
    pub const IAMR: u32 = 61;
    /// Control Register, as it is read.
    pub const CTRL: u32 = 136;
    /// Thread Identification Register, Power ISA 3.0 only.
    pub const TIDR: u32 = 144;
    /// Control Register, as it is written.
    pub const CTRL_WRITE: u32 = 152;
    /// Facility Status and Control Register.
    pub const FSCR: u32 = 153;
    /// User Authority Mask Override Register.
    pub const UAMOR: u32 = 157;
    /// Problem State Priority Boost Register.
    pub const PSPB: u32 = 159;
    /// VR Save Register.
    pub const VRSAVE: u32 = 256;
    /// Time Base, read only.
    pub const TB: u32 = 268;
    /// Software-use SPR 0.
    pub const SPRG0: u32 = 272;
    /// Software-use SPR 1.
    pub const SPRG1: u32 = 273;
    /// Software-use SPR 2.
    pub const SPRG2: u32 = 274;
    /// Processor Version Register, read only.
    pub const PVR: u32 = 287;
    /// Hash Key Register, since Power ISA 3.1.
    pub const HASHKEYR: u32 = 468;
    /// Sampled Instruction Event Register 2, since Power ISA 3.1.
    pub const SIER2: u32 = 752;
    /// Sampled Instruction Event Register 3, since Power ISA 3.1.
    pub const SIER3: u32 = 753;
    /// Monitor Mode Control Register 3, since Power ISA 3.1.
    pub const MMCR3: u32 = 754;
    /// Sampled Instruction Event Register.
    pub const SIER: u32 = 784;
    /// Monitor Mode Control Register 2.
    pub const MMCR2: u32 = 785;
    /// Monitor Mode Control Register A.
    pub const MMCRA: u32 = 786;
    /// Performance Monitor Counter 1.
    pub const PMC1: u32 = 787;
    /// Performance Monitor Counter 2.
    pub const PMC2: u32 = 788;
    /// Performance Monitor Counter 3.
    pub const PMC3: u32 = 789;
    /// Performance Monitor Counter 4.
    pub const PMC4: u32 = 790;
    /// Performance Monitor Counter 5.
    pub const PMC5: u32 = 791;
    /// Performance Monitor Counter 6.
    pub const PMC6: u32 = 792;
    /// Monitor Mode Control Register 0.
    pub const MMCR0: u32 = 795;
    /// Sampled Instruction Address Register.
    pub const SIAR: u32 = 796;
    /// Sampled Data Address Register.
    pub const SDAR: u32 = 797;
    /// Monitor Mode Control Register 1.
    pub const MMCR1: u32 = 798;
    /// Event-Based Branch Handler Register.
    pub const EBBHR: u32 = 804;
    /// Event-Based Branch Return Register.
    pub const EBBRR: u32 = 805;
    /// Branch Event Status and Control Register.
    pub const BESCR: u32 = 806;
    /// Target Address Register.
    pub const TAR: u32 = 815;
    /// Process Identification Register.
    pub const PIDR: u32 = 48;
    /// Data Address Watchpoint 0.
    pub const DAWR0: u32 = 180;
    /// Data Address Watchpoint 1 (Power ISA 3.1).
    pub const DAWR1: u32 = 181;
    /// Completed Instruction Address Breakpoint.
    pub const CIABR: u32 = 187;
    /// Data Address Watchpoint Extension 0.
    pub const DAWRX0: u32 = 188;
    /// Data Address Watchpoint Extension 1 (Power ISA 3.1).
    pub const DAWRX1: u32 = 189;
    /// Hypervisor Facility Status and Control Register.
    pub const HFSCR: u32 = 190;
    /// Software-use SPR 3.
    pub const SPRG3: u32 = 275;
    /// Hypervisor Software-use SPR 0.
    pub const HSPRG0: u32 = 304;
    /// Hypervisor Software-use SPR 1.
    pub const HSPRG1: u32 = 305;
    /// Hypervisor Data Storage Interrupt Status Register.
    pub const HDSISR: u32 = 306;
    /// Hypervisor Data Address Register.
    pub const HDAR: u32 = 307;
    /// Hypervisor Decrementer.
    pub const HDEC: u32 = 310;
    /// Hypervisor Real Mode Offset Register.
    pub const HRMOR: u32 = 313;
    /// Hypervisor Save/Restore Register 0.
    pub const HSRR0: u32 = 314;
    /// Hypervisor Save/Restore Register 1.
    pub const HSRR1: u32 = 315;
    /// Logical Partitioning Control Register.
    pub const LPCR: u32 = 318;
    /// Logical Partition Identification Register.
    pub const LPIDR: u32 = 319;
    /// Hypervisor Maintenance Exception Register.
    pub const HMER: u32 = 336;
    /// Processor Compatibility Register.
    pub const PCR: u32 = 338;
    /// Hypervisor Emulation Instruction Register.
    pub const HEIR: u32 = 339;
    /// Authority Mask Override Register.
    pub const AMOR: u32 = 349;
    /// Partition Table Control Register.
    pub const PTCR: u32 = 464;
    /// Access Segment Descriptor Register.
    pub const ASDR: u32 = 816;
    /// Processor Stop Status and Control Register.
    pub const PSSCR: u32 = 855;
    /// Program Priority Register.
    pub const PPR: u32 = 896;
    /// Processor Identification Register.
    pub const PIR: u32 = 1023;
    /// Dynamic Execution Control Register, since Power ISA 3.1.
    pub const DEXCR: u32 = 828;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lpcr_fields_stand_where_a_radix_guest_was_seen_to_run_with_them() {
        let value = LPCR::VPM.val(1)
            + LPCR::ILE::SET
            + LPCR::UPRT::SET
            + LPCR::HR::SET
            + LPCR::LD::SET
            + LPCR::GTSE::SET
            + LPCR::HVICE::SET
            + LPCR::HDICE::SET;
        assert_eq!(value.value, 0x4000_0000_0252_0403);
        assert_eq!(LPCR::AIL::High.value, 0x0180_0000);
    }

    #[test]
    fn a_hash_guest_was_seen_to_run_with_neither_radix_nor_process_tables() {
        let value = LPCR::VPM.val(1) + LPCR::ILE::SET + LPCR::LD::SET + LPCR::HVICE::SET + LPCR::HDICE::SET;
        assert_eq!(value.value, 0x4000_0000_0202_0003);
        // The second group of a hash is searched as well.
        assert_eq!((LPCR::HR::SET + LPCR::UPRT::SET + LPCR::GTSE::SET + LPCR::TC::SET).value & value.value, 0);
    }

    #[test]
    fn hfscr_fields_stand_where_the_manual_numbers_them() {
        assert_eq!((HFSCR::FP::SET + HFSCR::VECVSX::SET + HFSCR::DSCR::SET).value, 7);
        assert_eq!((HFSCR::TAR::SET + HFSCR::MSGP::SET + HFSCR::PREFIX::SET).value, 0x2500);
        let denied: LocalRegisterCopy<u64, HFSCR::Register> = LocalRegisterCopy::new(10 << 56);
        assert_eq!(denied.read(HFSCR::IC), 10);
    }
}
