//! Numbers of hypervisor calls: r3 at `sc 1`. Arguments are in r4 to r12, results in r4 to r12, and r3 holds the
//! [`Rc`](super::Rc) afterwards (LoPAR 14.5, hypervisor call interface).

/// Removes an entry of the hashed table. r4: flags, r5: entry, r6: AVA or condition. Results r4, r5: what it was.
pub const H_REMOVE: u64 = 0x04;
/// Makes an entry. r4: flags, r5: entry, r6, r7: its doublewords. Result r4: where it is.
pub const H_ENTER: u64 = 0x08;
/// Reads one or four. r4: flags, r5: entry. Results r4 to r5 or r11.
pub const H_READ: u64 = 0x0c;
/// Clears an entry's C. r4: flags, r5: entry. Result r4: its second doubleword.
pub const H_CLEAR_MOD: u64 = 0x10;
/// Clears its R. As [`H_CLEAR_MOD`].
pub const H_CLEAR_REF: u64 = 0x14;
/// Changes its protection. r4: flags, r5: entry, r6: AVA.
pub const H_PROTECT: u64 = 0x18;
/// Sets SPRG0. r4: value.
pub const H_SET_SPRG0: u64 = 0x24;
/// Sets the data address breakpoint, which POWER9 and later do not have. r4: DABR.
pub const H_SET_DABR: u64 = 0x28;
/// Zeroes or copies a page. r4: flags, r5: destination, r6: source.
pub const H_PAGE_INIT: u64 = 0x2c;
/// Loads without caching. r4: size in bytes, r5: guest real address. Result r4: value.
pub const H_LOGICAL_CI_LOAD: u64 = 0x3c;
/// Stores without caching. r4: size in bytes, r5: guest real address, r6: value.
pub const H_LOGICAL_CI_STORE: u64 = 0x40;
/// Loads through the caches. As [`H_LOGICAL_CI_LOAD`].
pub const H_LOGICAL_CACHE_LOAD: u64 = 0x44;
/// Stores through the caches. As [`H_LOGICAL_CI_STORE`].
pub const H_LOGICAL_CACHE_STORE: u64 = 0x48;
/// Invalidates an instruction cache block. r4: guest real address.
pub const H_LOGICAL_ICBI: u64 = 0x4c;
/// Flushes a data cache block. r4: guest real address.
pub const H_LOGICAL_DCBF: u64 = 0x50;
/// Reads up to 16 characters. r4: terminal. Results r4: length, r5 and r6: characters, first one most significant.
pub const H_GET_TERM_CHAR: u64 = 0x54;
/// Writes up to 16 characters. r4: terminal, r5: length, r6 and r7: characters, first one most significant.
pub const H_PUT_TERM_CHAR: u64 = 0x58;
/// Ends an interrupt. r4: XIRR as it was read.
pub const H_EOI: u64 = 0x64;
/// Sets the current processor priority. r4: CPPR in the low 8 bits.
pub const H_CPPR: u64 = 0x68;
/// Sends an inter-processor interrupt. r4: server, r5: MFRR in the low 8 bits.
pub const H_IPI: u64 = 0x6c;
/// Looks at a server without accepting. r4: server. Results r4: XIRR, r5: MFRR.
pub const H_IPOLL: u64 = 0x70;
/// Accepts the pending interrupt. Result r4: XIRR.
pub const H_XIRR: u64 = 0x74;
/// Registers per-processor areas. r4: function << 45, r5: processor, r6: guest real address.
pub const H_REGISTER_VPA: u64 = 0xdc;
/// Gives up the processor until an interrupt. Sets MSR\[EE\].
pub const H_CEDE: u64 = 0xe0;
/// Gives the processor's time to another one. r4: processor, r5: its dispatch count.
pub const H_CONFER: u64 = 0xe4;
/// Wakes a processor that ceded. r4: processor.
pub const H_PROD: u64 = 0xe8;
/// Removes up to four entries of the hashed table. r4 to r11: requests, and then their answers.
pub const H_BULK_REMOVE: u64 = 0x124;
/// Sets the data address breakpoint and its extension. r4: DABR, r5: DABRX.
pub const H_SET_XDABR: u64 = 0x134;
/// Tells what the processor does about speculation. Results r4: character, r5: behaviour.
pub const H_GET_CPU_CHARACTERISTICS: u64 = 0x1c8;
/// As [`H_XIRR`], with the time of its acceptance. Results r4: XIRR, r5: timebase.
pub const H_XIRR_X: u64 = 0x2fc;
/// 64 random bits. Result r4.
pub const H_RANDOM: u64 = 0x300;
/// Sets processor modes. r4: flags, r5: resource, r6 and r7: values.
pub const H_SET_MODE: u64 = 0x31c;
/// Makes a hashed table of another size ready. r4: flags (none), r5: log2 of its bytes, or 0.
pub const H_RESIZE_HPT_PREPARE: u64 = 0x36c;
/// Goes over to it. As [`H_RESIZE_HPT_PREPARE`].
pub const H_RESIZE_HPT_COMMIT: u64 = 0x370;
/// Registers the process table. r4: flags, r5: base, r6: page size, r7: log2 of its bytes less 12.
pub const H_REGISTER_PROC_TBL: u64 = 0x37c;
/// Sends system resets. r4: processor, -1 for all, -2 for all others.
pub const H_SIGNAL_SYS_RESET: u64 = 0x380;

/// The last number of the range that PAPR itself defines.
pub const LAST_PAPR: u64 = 0x4ac;

/// RTAS by hypervisor call. Private: the blob in the guest's memory and the hypervisor agree about it. r4: argument block.
pub const H_RTAS: u64 = 0xf000;
/// Copies or inverts memory. Private, for firmware's frame buffers. r4: destination, r5: source, r6: log2 of the element's
/// bytes, r7: elements, r8: 0 copies, 1 inverts.
pub const H_LOGICAL_MEMOP: u64 = 0xf001;

/// Upkeep of the caller's memory, for measuring; only where the hypervisor's command line allows it. Private. The function is the number less this one.
/// r4: guest real address, r5: bytes, both multiples of 4096. Result r4: pages. See [`upkeep`].
pub const H_UPKEEP: u64 = 0xf200;

/// Nested v1: where the partition table stands. r4: PTCR.
pub const H_SET_PARTITION_TABLE: u64 = 0xf800;
/// Nested v1: runs a vCPU. r4: `hv_guest_state`, r5: `pt_regs`, both guest real. r3 afterwards: the vector, or an error.
pub const H_ENTER_NESTED: u64 = 0xf804;
/// Nested v1: a partition-scoped tlbie. r4: RIC, PRS, R as in the instruction, r5: RS, r6: RB.
pub const H_TLB_INVALIDATE: u64 = 0xf808;
/// Nested v1: copies to or from a nested guest's effective address.
pub const H_COPY_TOFROM_GUEST: u64 = 0xf80c;

/// Nested v2: what the hypervisor below offers. r4: flags. Result r4: capabilities.
pub const H_GUEST_GET_CAPABILITIES: u64 = 0x460;

/// Values of [`H_SET_MODE`]'s resource argument (LoPAR 14.5.4.3.6).
pub mod mode {
    /// Completed instruction address breakpoint. r6: CIABR.
    pub const CIABR: u64 = 1;
    /// First data address watchpoint. r6: DAWR0, r7: DAWRX0.
    pub const DAWR0: u64 = 2;
    /// Where interrupts arrive. Flags: 0, 2 or 3 as in LPCR\[AIL\].
    pub const ADDR_TRANS: u64 = 3;
    /// Byte order of interrupts. Flags: 0 big, 1 little.
    pub const ENDIAN: u64 = 4;
    /// Second data address watchpoint (ISA 3.1). r6: DAWR1, r7: DAWRX1.
    pub const DAWR1: u64 = 5;
}

/// Values of [`H_REGISTER_VPA`]'s function, before the shift (LoPAR 14.11.3.2).
pub mod vpa {
    /// Left shift of the function in r4.
    pub const SHIFT: u32 = 45;
    /// Registers the virtual processor area.
    pub const REGISTER_VPA: u64 = 1;
    /// Registers the dispatch trace log.
    pub const REGISTER_DTL: u64 = 2;
    /// Registers the SLB shadow.
    pub const REGISTER_SLB: u64 = 3;
    /// Deregisters the virtual processor area.
    pub const DEREGISTER_VPA: u64 = 5;
    /// Deregisters the dispatch trace log.
    pub const DEREGISTER_DTL: u64 = 6;
    /// Deregisters the SLB shadow.
    pub const DEREGISTER_SLB: u64 = 7;
}

/// Flags of [`H_REGISTER_PROC_TBL`].
pub mod proc_tbl {
    /// Guest translation shootdown enable: the guest issues tlbie itself.
    pub const GTSE: u64 = 0x01;
    /// The hash form of a process table.
    pub const HASH: u64 = 0x02;
    /// The radix form of a process table.
    pub const RADIX: u64 = 0x04;
    /// Registers; without it, a modification deregisters.
    pub const REGISTER: u64 = 0x08;
    /// Changes what is registered; without it, nothing is touched.
    pub const MODIFY: u64 = 0x10;
    /// All of them.
    pub const ALL: u64 = 0x1f;
}

/// Functions of [`H_UPKEEP`], added to its number.
pub mod upkeep {
    /// Switches the dirty log of the slot that the range begins in on.
    pub const START_LOG: u64 = 0;
    /// Reads it, and protects its pages again.
    pub const HARVEST: u64 = 1;
    /// Switches it off.
    pub const STOP_LOG: u64 = 2;
    /// Forgets the range's pages.
    pub const UNMAP: u64 = 3;
    /// Takes the range's pages out to the guest's store.
    pub const PAGE_OUT: u64 = 4;
}

/// Flags of [`H_PAGE_INIT`], as the manual numbers them.
pub mod page_init {
    use ppc64_arch::bits::bit;
    /// Invalidates the page in the instruction cache.
    pub const ICACHE_INVALIDATE: u64 = bit(40);
    /// Makes the page's contents visible to instruction fetches.
    pub const ICACHE_SYNCHRONIZE: u64 = bit(41);
    /// Fills the page with zeros.
    pub const ZERO: u64 = bit(48);
    /// Copies the source page.
    pub const COPY: u64 = bit(49);
}
