//! A guest's registers, in the layout that nested API v1 hands to the L0 (`struct pt_regs` and `struct hv_guest_state`,
//! both in host order): one platform passes them as they are, and the other does not care where they stand.

/// General registers of a vCPU: 0x160 bytes, host order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C, align(128))]
pub struct Regs {
    /// r0 to r31.
    pub gpr: [u64; 32],
    /// Next instruction address.
    pub nip: u64,
    /// Machine state register.
    pub msr: u64,
    /// Not used here; Linux keeps the first argument of a system call in it.
    pub orig_gpr3: u64,
    /// Count register.
    pub ctr: u64,
    /// Link register.
    pub link: u64,
    /// Fixed-point exception register.
    pub xer: u64,
    /// Condition register, in the low 32 bits.
    pub ccr: u64,
    /// Not used here.
    pub softe: u64,
    /// The vector of the last exit.
    pub trap: u64,
    /// Guest DAR (not kept by the L0; the register itself carries it).
    pub dar: u64,
    /// Guest DSISR (likewise).
    pub dsisr: u64,
    /// Not used here.
    pub result: u64,
}

/// The hypervisor's half of a vCPU's state: 0xF8 bytes, version 2, host order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C, align(128))]
pub struct HvState {
    /// Layout version: 1 without `dawr1`/`dawrx1`, 2 with them.
    pub version: u64,
    /// Logical partition.
    pub lpid: u32,
    /// vCPU number, a hint for the L0.
    pub vcpu_token: u32,
    /// LPCR of the guest.
    pub lpcr: u64,
    /// PCR.
    pub pcr: u64,
    /// AMOR.
    pub amor: u64,
    /// DPDES.
    pub dpdes: u64,
    /// HFSCR.
    pub hfscr: u64,
    /// Added to the timebase that the guest reads.
    pub tb_offset: i64,
    /// DAWR0.
    pub dawr0: u64,
    /// DAWRX0.
    pub dawrx0: u64,
    /// CIABR.
    pub ciabr: u64,
    /// Absolute timebase at which the L0 ends the guest's run.
    pub hdec_expiry: u64,
    /// PURR.
    pub purr: u64,
    /// SPURR.
    pub spurr: u64,
    /// IC.
    pub ic: u64,
    /// VTB.
    pub vtb: u64,
    /// Hypervisor data address of the last data storage exit.
    pub hdar: u64,
    /// Its cause; only the low 32 bits.
    pub hdsisr: u64,
    /// The instruction of an emulation assistance exit (0 under QEMU).
    pub heir: u64,
    /// Guest real address, or segment, of the last storage exit.
    pub asdr: u64,
    /// SRR0.
    pub srr0: u64,
    /// SRR1.
    pub srr1: u64,
    /// SPRG0 to SPRG3.
    pub sprg: [u64; 4],
    /// PIDR.
    pub pidr: u64,
    /// CFAR.
    pub cfar: u64,
    /// PPR.
    pub ppr: u64,
    /// DAWR1.
    pub dawr1: u64,
    /// DAWRX1.
    pub dawrx1: u64,
}

const _: () = assert!(core::mem::offset_of!(Regs, nip) == 0x100 && core::mem::offset_of!(Regs, trap) == 0x140);
const _: () = assert!(core::mem::offset_of!(Regs, result) == 0x158);
const _: () =
    assert!(core::mem::offset_of!(HvState, hdec_expiry) == 0x58 && core::mem::offset_of!(HvState, asdr) == 0x98);
const _: () = assert!(core::mem::offset_of!(HvState, ppr) == 0xe0 && core::mem::offset_of!(HvState, dawrx1) == 0xf0);
