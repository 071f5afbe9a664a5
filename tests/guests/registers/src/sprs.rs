//! The special-purpose registers that are tried, in one list: the table and the assembly that loads and stores them are made from it.
//!
//! A register that this processor does not have is left alone by `mtspr` and `mfspr` in supervisor state; it then reads as 0
//! here, and is named at the end as one that never changed.

/// One register.
pub struct Spr {
    /// Its name in the manual.
    pub name: &'static str,
    /// Bits that get a pattern.
    pub mask: u64,
    /// Bits that are always set.
    pub set: u64,
}

macro_rules! sprs {
    ($($name:literal $read:literal $write:literal $mask:literal | $set:literal,)*) => {
        /// All of them, in the order in which they stand in a set.
        pub const SPRS: &[Spr] = &[$(Spr { name: $name, mask: $mask, set: $set }),*];

        core::arch::global_asm!(
            ".section .text.sprs, \"ax\", @progbits",
            // load_sprs(r4 = set): changes r3.
            "load_sprs:",
            ".set at, {start}",
            $(concat!("ld 3, at(4)\n mtspr ", $write, ", 3\n .set at, at + 8"),)*
            "isync",
            "blr",
            // store_sprs(r4 = set): changes r3. What is not there leaves the 0.
            "store_sprs:",
            ".set at, {start}",
            $(concat!("li 3, 0\n mfspr 3, ", $read, "\n std 3, at(4)\n .set at, at + 8"),)*
            "blr",
            start = const core::mem::offset_of!(crate::set::Set, spr),
        );
    };
}

// Name, number for reading, number for writing, bits that vary, bits that are set. MMCR0 stands first: its FC stops the counters.
sprs! {
    "MMCR0" 795 795 0x0000_0000_003c_0000 | 0x8000_0000,
    "VRSAVE" 256 256 0xffff_ffff | 0,
    "TAR" 815 815 0xffff_ffff_ffff_ffff | 0,
    "DSCR" 17 17 0x01ff_ffff | 0,
    "UAMOR" 157 157 0xffff_ffff_ffff_ffff | 0,
    "AMR" 29 29 0x3fff_ffff_ffff_ffff | 0,
    "IAMR" 61 61 0x3fff_ffff_ffff_ffff | 0,
    "PPR" 896 896 0x0004_0000_0000_0000 | 0x0008_0000_0000_0000,
    "SPRG0" 272 272 0xffff_ffff_ffff_ffff | 0,
    "SPRG1" 273 273 0xffff_ffff_ffff_ffff | 0,
    "SPRG2" 274 274 0xffff_ffff_ffff_ffff | 0,
    "SPRG3" 275 275 0xffff_ffff_ffff_ffff | 0,
    "PIDR" 48 48 0xfff | 0,
    "DAR" 19 19 0xffff_ffff_ffff_ffff | 0,
    "DSISR" 18 18 0xffff_ffff | 0,
    "FSCR" 153 153 0x3fff | 0,
    "PSPB" 159 159 0xffff_ffff | 0,
    "CTRL" 136 152 1 | 0,
    "TIDR" 144 144 0xffff | 0,
    "EBBHR" 804 804 0xffff_ffff_ffff_fffc | 0,
    "EBBRR" 805 805 0xffff_ffff_ffff_fffc | 0,
    "BESCR" 806 806 0x0000_0003_0000_0002 | 0,
    "MMCR1" 798 798 0xffff_ffff_ffff_ffff | 0,
    "MMCR2" 785 785 0xffff_ffff_ffff_ffff | 0,
    "MMCRA" 786 786 0x7fff_ffff_ffff_fffe | 0,
    "MMCR3" 754 754 0xffff_ffff_ffff_ffff | 0,
    "PMC1" 787 787 0x7fff_ffff | 0,
    "PMC2" 788 788 0x7fff_ffff | 0,
    "PMC3" 789 789 0x7fff_ffff | 0,
    "PMC4" 790 790 0x7fff_ffff | 0,
    "PMC5" 791 791 0x7fff_ffff | 0,
    "PMC6" 792 792 0x7fff_ffff | 0,
    "SIAR" 796 796 0xffff_ffff_ffff_ffff | 0,
    "SDAR" 797 797 0xffff_ffff_ffff_ffff | 0,
    "SIER" 784 784 0xffff_ffff_ffff_ffff | 0,
    "SIER2" 752 752 0xffff_ffff_ffff_ffff | 0,
    "SIER3" 753 753 0xffff_ffff_ffff_ffff | 0,
    "DEXCR" 828 828 0xffff_ffff_0000_0000 | 0,
    "HASHKEYR" 468 468 0xffff_ffff_ffff_ffff | 0,
}
