//! The fields, as data. Every line is one field under its manual name; the last bit of the field is the manual's number.
#![allow(missing_docs, reason = "the macro makes further items out of each documented field")]

use tock_registers::register_bitfields;

register_bitfields! {
    u64,

    /// Logical Partitioning Control Register (Power ISA 3.1B Book III 2.2).
    pub LPCR [
        /// Virtualized partition memory: storage interrupts of a partition go to the hypervisor.
        VPM OFFSET(crate::bits::shift(1)) NUMBITS(2) [],
        /// Default prefetch depth.
        DPFD OFFSET(crate::bits::shift(11)) NUMBITS(3) [],
        /// Hypervisor Virtualization interrupts end a power-saving state.
        HVEE OFFSET(crate::bits::shift(17)) NUMBITS(1) [],
        /// Hypervisor interrupts are taken with relocation on (Power ISA 3.1).
        HAIL OFFSET(crate::bits::shift(37)) NUMBITS(1) [],
        /// Interrupts are taken in little-endian mode.
        ILE OFFSET(crate::bits::shift(38)) NUMBITS(1) [],
        /// Alternate interrupt location: interrupts are taken with relocation on.
        AIL OFFSET(crate::bits::shift(40)) NUMBITS(2) [
            /// Real mode, at the vectors themselves.
            Off = 0,
            /// Relocation on, at 0xC000_0000_0000_4000 plus the vector.
            High = 3,
        ],
        /// The partition uses process tables.
        UPRT OFFSET(crate::bits::shift(41)) NUMBITS(1) [],
        /// Illegal instructions go to Hypervisor Emulation Assistance.
        EVIRT OFFSET(crate::bits::shift(42)) NUMBITS(1) [],
        /// The partition's translation is radix.
        HR OFFSET(crate::bits::shift(43)) NUMBITS(1) [],
        /// This thread is online: counted by the PURR.
        ONL OFFSET(crate::bits::shift(45)) NUMBITS(1) [],
        /// Large decrementer.
        LD OFFSET(crate::bits::shift(46)) NUMBITS(1) [],
        /// What ends a power-saving state: directed doorbells, external, decrementer and maintenance interrupts.
        PECE OFFSET(crate::bits::shift(51)) NUMBITS(5) [],
        /// Mediated external exception request.
        MER OFFSET(crate::bits::shift(52)) NUMBITS(1) [],
        /// The guest may issue tlbie itself.
        GTSE OFFSET(crate::bits::shift(53)) NUMBITS(1) [],
        /// Translation control: the secondary groups of a hashed page table are not searched.
        TC OFFSET(crate::bits::shift(54)) NUMBITS(1) [],
        /// Hypervisor external interrupts are kept off while in hypervisor state.
        HEIC OFFSET(crate::bits::shift(59)) NUMBITS(1) [],
        /// External interrupts go to the partition (1) or the hypervisor (0).
        LPES OFFSET(crate::bits::shift(60)) NUMBITS(1) [],
        /// Hypervisor Virtualization interrupts are enabled outside hypervisor state.
        HVICE OFFSET(crate::bits::shift(62)) NUMBITS(1) [],
        /// Hypervisor Decrementer interrupts are enabled outside hypervisor state.
        HDICE OFFSET(crate::bits::shift(63)) NUMBITS(1) [],
    ],

    /// Hypervisor Facility Status and Control Register (Power ISA 3.1B Book III chapter 7): which
    /// facilities a partition may use.
    pub HFSCR [
        /// Interrupt cause: the facility whose use was refused.
        IC OFFSET(crate::bits::shift(7)) NUMBITS(8) [],
        /// Prefixed instructions.
        PREFIX OFFSET(crate::bits::shift(50)) NUMBITS(1) [],
        /// msgsndp and its register.
        MSGP OFFSET(crate::bits::shift(53)) NUMBITS(1) [],
        /// Target Address Register.
        TAR OFFSET(crate::bits::shift(55)) NUMBITS(1) [],
        /// Event-based branches.
        EBB OFFSET(crate::bits::shift(56)) NUMBITS(1) [],
        /// Branch history rolling buffer.
        BHRB OFFSET(crate::bits::shift(59)) NUMBITS(1) [],
        /// Performance monitor registers.
        PM OFFSET(crate::bits::shift(60)) NUMBITS(1) [],
        /// Data Stream Control Register.
        DSCR OFFSET(crate::bits::shift(61)) NUMBITS(1) [],
        /// Vector and VSX.
        VECVSX OFFSET(crate::bits::shift(62)) NUMBITS(1) [],
        /// Floating point.
        FP OFFSET(crate::bits::shift(63)) NUMBITS(1) [],
    ],
}
