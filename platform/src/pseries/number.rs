//! Numbers of the hcalls that we make (PAPR chapter 14, table of hcall tokens; the last four are nested API v1).

/// End of interrupt.
pub const H_EOI: u64 = 0x64;
/// Sets the processor priority of the interrupt controller.
pub const H_CPPR: u64 = 0x68;
/// Sets a processor's request for an interrupt by another one.
pub const H_IPI: u64 = 0x6C;
/// Accepts the most favoured interrupt.
pub const H_XIRR: u64 = 0x74;
/// Reads from a virtual terminal.
pub const H_GET_TERM_CHAR: u64 = 0x54;
/// Writes to a virtual terminal.
pub const H_PUT_TERM_CHAR: u64 = 0x58;
/// Sleeps until an interrupt.
pub const H_CEDE: u64 = 0xE0;
/// Enables or disables the interrupt of a virtual device.
pub const H_VIO_SIGNAL: u64 = 0x104;
/// What the processor does about speculation.
pub const H_GET_CPU_CHARACTERISTICS: u64 = 0x1C8;
/// Endianness of interrupts, and more.
pub const H_SET_MODE: u64 = 0x31C;
/// RTAS, as QEMU's firmware calls it.
pub const H_RTAS: u64 = 0xF000;
/// Names our partition table.
pub const H_SET_PARTITION_TABLE: u64 = 0xF800;
/// Runs a guest.
pub const H_ENTER_NESTED: u64 = 0xF804;
/// Drops translations of a guest.
pub const H_TLB_INVALIDATE: u64 = 0xF808;
