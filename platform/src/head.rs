//! The first 64 KiB of the image: where each boot path enters, and the interrupt vectors.
//!
//! POWER starts in big-endian mode, QEMU's pseries reset even with 32-bit addressing, while everything here is little-endian and
//! 64-bit. So an entry point starts with a word that reads as a harmless trap-never in little-endian and as a branch over one
//! instruction in big-endian; behind that branch stands a short big-endian program that switches by `rfid`.
//!
//! | offset | who enters | state |
//! | --- | --- | --- |
//! | 0x000 | SLOF or VOF, after loading us as a kernel anywhere | r5 = client interface |
//! | 0x000 | skiboot, after loading us as its payload anywhere | big-endian, r3 = device tree, r5 = 0 |
//! | 0x010 | the reset vector of a powernv machine without firmware | big-endian, r3 = device tree |
//! | 0x100 | the reset vector, when we are the firmware (`-bios`) | big-endian, r3 = device tree |
//! | 0x100 | a system reset, later | little-endian |
//! | other vectors | interrupts of the hypervisor itself | little-endian |
//! | `entry_secondary` | OPAL or RTAS `start-cpu`, for each further processor that it is asked to start | big-endian, r3 = its number for them |
//!
//! Interrupts are off in the hypervisor but for the moment in which it sleeps, so every vector but the external one and the decrementer is an error or a
//! request for a report. They use SPRG0 to SPRG2 (the HSPRGs do not exist for a nested hypervisor) and a stack of their own: the compiler
//! stores below the stack pointer, and an interrupt on the same stack would overwrite that. Each CPU has its own ([`crate::memory`]).
//! An interrupt during a report starts that stack anew, and the report ends there ([`crate::panic::begin`]).

use core::arch::global_asm;

/// An instruction that has to be read in big-endian mode, as the little-endian assembler must lay it down.
pub const fn be(instruction: u32) -> u32 {
    instruction.swap_bytes()
}

// Offsets in [`crate::interrupt::Frame`], behind the 32 bytes that the ABI reserves at the bottom of a stack frame.
const GPRS: usize = 0x20;
const NIP: usize = GPRS + 0x100;
const MSR: usize = GPRS + 0x108;
const LR: usize = GPRS + 0x110;
const CTR: usize = GPRS + 0x118;
const XER: usize = GPRS + 0x120;
const CR: usize = GPRS + 0x128;
const DAR: usize = GPRS + 0x130;
const DSISR: usize = GPRS + 0x138;
const VECTOR: usize = GPRS + 0x140;
const FRAME: usize = GPRS + 0x150;
const _: () = assert!(crate::memory::REGIONS == 9);
const _: () = assert!(FRAME == GPRS + size_of::<crate::interrupt::Frame>());

global_asm!(
    "
    .section .head, \"ax\"

    # In big-endian mode: goes on behind this in little-endian 64-bit mode. Changes r10, r11, r12 and LR.
    .macro BIG_TO_LITTLE_ENDIAN
    .long {be_mfmsr}            # mfmsr r11                         the state as it is,
    .long {be_bcl}              # bcl 20,31,.+4                     LR = the next instruction,
    .long {be_mflr}             # mflr r10
    .long {be_addi}             # addi r10,r10,36                   r10 = label 9,
    .long {be_li}               # li r12,1
    .long {be_rldicr}           # rldicr r12,r12,63,0               r12 = MSR[SF],
    .long {be_or}               # or r11,r11,r12                    64-bit
    .long {be_ori}              # ori r11,r11,1                     and little-endian
    .long {be_mtsrr0}           # mtsrr0 r10
    .long {be_mtsrr1}           # mtsrr1 r11
    .long {be_rfid}             # rfid                              from label 9 on
9:
    .endm

    # Enters little-endian 64-bit mode from wherever the CPU is; falls through in that mode. Changes r10, r11, r12 and LR.
    .macro BECOME_LITTLE_ENDIAN
    .long 0x08000048            # LE: tdi 0,r0,72 (traps never)     BE: b .+8
    b 7f                        # LE: nothing to do                 BE: skipped
    BIG_TO_LITTLE_ENDIAN
7:
    .endm

    # A pointer to the symbol's absolute address; the image lies below 4 MiB. No TOC is needed.
    .macro LOAD_ADDRESS register, symbol
    lis \\register, \\symbol@h
    ori \\register, \\register, \\symbol@l
    .endm

    # Zeroes .bss and sets stack and TOC. Changes r0, r1, r2, r10, r11 and CTR.
    .macro PREPARE_RUST
    LOAD_ADDRESS %r10, __bss_start
    LOAD_ADDRESS %r11, __bss_end
    subf %r11, %r10, %r11          # bytes,
    srdi %r11, %r11, 7            # lines of 128; the linker script aligns both ends
    mtctr %r11
8:  dcbz 0, %r10                 # clears one line
    addi %r10, %r10, 128
    bdnz 8b
    LOAD_ADDRESS %r1, __stack_top
    li %r0, 0
    stdu %r0, -128(%r1)           # the last back chain is 0
    lis %r2, .TOC.@ha
    addi %r2, %r2, .TOC.@l
    .endm

    # 0x000: from SLOF, VOF or skiboot.
    .globl entry_of
entry_of:
    .long 0x08000048            # as in BECOME_LITTLE_ENDIAN
    b from_firmware             # LE
    .long {be_b_38}             # BE: b .+0x38, to 0x40
    nop
    # 0x010: a powernv machine without firmware.
    .long {be_b_70}             # BE: b .+0x70, to 0x80
    .org 0x40
    BIG_TO_LITTLE_ENDIAN
    b from_firmware
    .org 0x80
    BIG_TO_LITTLE_ENDIAN
    b from_bare

    # 0x100: reset.
    .org 0x100
    .globl entry_reset
entry_reset:
    .long 0x08000048            # as in BECOME_LITTLE_ENDIAN, but little-endian means something else here:
    b 2f                        # LE: a system reset while we run
    BIG_TO_LITTLE_ENDIAN        # BE: we are the firmware, and this is the start
    b from_reset
2:  mtsprg 1, %r1
    mtsprg 2, %r2
    li %r2, 0x100
    b interrupt_common

    # An interrupt that is reported: saves r1 and r2, and names itself in r2.
    .macro REPORTED vector
    .org \\vector
    mtsprg 1, %r1
    mtsprg 2, %r2
    li %r2, \\vector
    b interrupt_common
    .endm

    # An interrupt that only ends a sleep: returns with MSR[EE] (bit 48) cleared, so that it stays pending for whoever it is for.
    .macro WAKES vector
    .org \\vector
    mtsprg 0, %r3
    mfsrr1 %r3
    rldicl %r3, %r3, 48, 1        # EE to the top, where the mask clears it
    rotldi %r3, %r3, 16           # and everything back
    mtsrr1 %r3
    mfsprg %r3, 0
    rfid
    .endm

    REPORTED 0x200
    REPORTED 0x300
    REPORTED 0x380
    REPORTED 0x400
    REPORTED 0x480
    WAKES 0x500
    REPORTED 0x600
    REPORTED 0x700
    REPORTED 0x800
    WAKES 0x900
    REPORTED 0x980
    REPORTED 0xa00
    REPORTED 0xc00
    REPORTED 0xd00
    REPORTED 0xe00
    REPORTED 0xe20
    REPORTED 0xe40
    REPORTED 0xe60
    REPORTED 0xe80
    REPORTED 0xea0
    REPORTED 0xf00
    REPORTED 0xf20
    REPORTED 0xf40
    REPORTED 0xf60
    REPORTED 0xf80
    .org 0x1000

    # Everything into a frame on this CPU's emergency stack, Rust, and everything back. SPRG1 and SPRG2 hold r1 and r2, r2 the vector, SRR0 and SRR1 the state. Which CPU this is says
    # r1 (memory.rs). Until CR and XER are stored nothing changes them.
    .globl interrupt_common
interrupt_common:
    mtsprg 0, %r3
    mr %r3, %r1
    LOAD_ADDRESS %r1, __stack_bottom
    subf %r3, %r1, %r3
    srdi %r3, %r3, {region_shift}
    addi %r3, %r3, -{regions}
    srdi %r1, %r3, 63             # 1: below the number of regions,
    neg %r1, %r1                  # as a mask;
    and %r3, %r3, %r1             # what is not is that number
    addi %r3, %r3, {regions}
    sldi %r3, %r3, 3
    LOAD_ADDRESS %r1, emergency_tops
    ldx %r1, %r1, %r3
    mfsprg %r3, 0
    addi %r1, %r1, -{frame}
    std %r0, {gprs}(%r1)
    .irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std %r\\n, {gprs}+8*\\n(%r1)
    .endr
    std %r2, {vector}(%r1)
    mfsprg %r0, 1
    std %r0, {gprs}+8(%r1)        # the interrupted r1,
    std %r0, 0(%r1)               # which is also the back chain
    mfsprg %r0, 2
    std %r0, {gprs}+16(%r1)
    mfsrr0 %r0
    std %r0, {nip}(%r1)
    mfsrr1 %r0
    std %r0, {msr}(%r1)
    mflr %r0
    std %r0, {lr}(%r1)
    mfctr %r0
    std %r0, {ctr}(%r1)
    mfxer %r0
    std %r0, {xer}(%r1)
    mfcr %r0
    std %r0, {cr}(%r1)
    mfspr %r0, 19
    std %r0, {dar}(%r1)
    mfspr %r0, 18
    std %r0, {dsisr}(%r1)
    lis %r2, .TOC.@ha
    addi %r2, %r2, .TOC.@l
    addi %r3, %r1, {gprs}
    bl {on_interrupt}
    nop
    ld %r0, {nip}(%r1)
    mtsrr0 %r0
    ld %r0, {msr}(%r1)
    mtsrr1 %r0
    ld %r0, {lr}(%r1)
    mtlr %r0
    ld %r0, {ctr}(%r1)
    mtctr %r0
    ld %r0, {xer}(%r1)
    mtxer %r0
    ld %r0, {cr}(%r1)
    mtcr %r0
    .irp n, 0,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld %r\\n, {gprs}+8*\\n(%r1)
    .endr
    ld %r1, {gprs}+8(%r1)
    rfid

    # Where the emergency stack begins, by the region that r1 lies in; the last is for no region.
    .balign 8
emergency_tops:
    .quad __stack_bottom + {emergency}
    .quad __stack_bottom + {emergency}
    .irp n, 2,3,4,5,6,7,8,9
    .quad __stack_bottom + \\n*{region} + {emergency}
    .endr
    # As from_reset, on every CPU of the machine at once: the first one goes on, the others wait for ever.
from_bare:
    LOAD_ADDRESS %r10, first_come
1:  lwarx %r11, 0, %r10
    cmpwi %r11, 0
    bne 2f
    li %r11, 1
    stwcx. %r11, 0, %r10
    bne 1b
    b from_reset
2:  or %r31, %r31, %r31          # very low priority
    b 2b

    # r3 = device tree. The image lies where it is linked.
from_reset:
    PREPARE_RUST
    bl {start}
    nop

    # r5 = client interface, or 0 and r3 = device tree. The image lies somewhere else, with the entry point at its start; a firmware with a client interface still owns the
    # vectors.
from_firmware:
    mr %r31, %r5
    mr %r29, %r3
    bcl 20, 31, 1f              # LR = label 1 as it runs,
1:  mflr %r30
    LOAD_ADDRESS %r10, 1b
    subf %r30, %r10, %r30          # r30 = where the image lies
    cmpdi %r31, 0
    LOAD_ADDRESS %r10, 0x100000  # everything behind the head goes to its place,
    bne 4f
    li %r10, 0                   # or everything:
4:
    LOAD_ADDRESS %r11, __file_end
    subf %r11, %r10, %r11
    srdi %r11, %r11, 7            # lines of 128 bytes
    add %r9, %r30, %r10            # from
2:  li %r8, 16                   # doublewords of a line
    mtctr %r8
    mr %r7, %r10
3:  ld %r6, 0(%r9)
    std %r6, 0(%r7)
    addi %r9, %r9, 8
    addi %r7, %r7, 8
    bdnz 3b
    dcbst 0, %r10                # the line is to be fetched from: store it,
    sync
    icbi 0, %r10                 # drop the old copy
    addi %r10, %r10, 128
    addic. %r11, %r11, -1
    bne 2b
    sync
    isync
    cmpdi %r31, 0
    bne 5f
    LOAD_ADDRESS %r12, 6f        # the code as it stands in its place
    mtctr %r12
    bctr
6:  mr %r3, %r29
    b from_reset
5:
    PREPARE_RUST
    mr %r3, %r31
    mr %r4, %r30
    LOAD_ADDRESS %r12, {start_from_firmware}
    mtctr %r12                   # absolute: leaves the copy that the firmware loaded
    bctrl
    nop

    # u32 firmware_call(r3 = argument block, r4 = client interface): leaves for 32-bit big-endian mode and comes back. The firmware
    # may treat every register as 32 bits wide, so all that the ABI preserves is kept here.
    .section .text.firmware_call, \"ax\"  # not in the head, which comes to its place only after the firmware has gone
    .globl firmware_call
firmware_call:
    mflr %r0
    std %r0, 16(%r1)            # LR and CR in the caller's frame, as the ABI has it
    mfcr %r0
    std %r0, 8(%r1)
    stdu %r1, -0x100(%r1)
    std %r2, 0x28(%r1)
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std %r\\n, 8*\\n-0x38(%r1)   # r13 at 0x30 and so on
    .endr
    LOAD_ADDRESS %r5, 1f
    mtlr %r5                    # where the firmware returns to, in its mode
    mfmsr %r6
    rldicl %r6, %r6, 0, 1       # SF off,
    rldicr %r6, %r6, 0, 62      # LE off
    mtsrr0 %r4
    mtsrr1 %r6
    rfid
1:  BECOME_LITTLE_ENDIAN
    rldicl %r1, %r1, 0, 32      # the firmware kept its low half; the high half is 0
    ld %r2, 0x28(%r1)
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld %r\\n, 8*\\n-0x38(%r1)
    .endr
    addi %r1, %r1, 0x100
    ld %r0, 8(%r1)
    mtcr %r0
    ld %r0, 16(%r1)
    mtlr %r0
    blr

    .section .data.first_come, \"aw\"  # not in .bss, which is zeroed later
    .balign 4
first_come:
    .long 0

    # A further processor, as the firmware starts it: big-endian, r3 = its number for the firmware. One for which no post stands waits for ever.
    .section .text.entry_secondary, \"ax\"
    .globl entry_secondary
entry_secondary:
    BIG_TO_LITTLE_ENDIAN
    LOAD_ADDRESS %r10, {posts}
    li %r11, {post_count}
    mtctr %r11
1:  ld %r11, {post_id}(%r10)
    cmpld %r11, %r3
    beq 3f
    addi %r10, %r10, {post_bytes}
    bdnz 1b
2:  or %r31, %r31, %r31          # very low priority
    b 2b
3:  mr %r3, %r10
    ld %r1, {post_stack}(%r10)
    li %r0, 0
    stdu %r0, -128(%r1)           # the last back chain is 0
    lis %r2, .TOC.@ha
    addi %r2, %r2, .TOC.@l
    LOAD_ADDRESS %r12, {secondary}
    mtctr %r12
    bctr

    .text
    ",
    be_b_38 = const be(0x4800_0038),
    be_b_70 = const be(0x4800_0070),
    be_mfmsr = const be(0x7d60_00a6),
    be_bcl = const be(0x429f_0005),
    be_mflr = const be(0x7d48_02a6),
    be_addi = const be(0x394a_0024),
    be_li = const be(0x3980_0001),
    be_rldicr = const be(0x798c_f806),
    be_or = const be(0x7d6b_6378),
    be_ori = const be(0x616b_0001),
    be_mtsrr0 = const be(0x7d5a_03a6),
    be_mtsrr1 = const be(0x7d7b_03a6),
    be_rfid = const be(0x4c00_0024),
    frame = const FRAME,
    gprs = const GPRS,
    nip = const NIP,
    msr = const MSR,
    lr = const LR,
    ctr = const CTR,
    xer = const XER,
    cr = const CR,
    dar = const DAR,
    dsisr = const DSISR,
    vector = const VECTOR,
    on_interrupt = sym crate::interrupt::on_interrupt,
    start = sym crate::start,
    posts = sym crate::cpus::POSTS,
    post_count = const crate::cpus::POST_COUNT,
    post_bytes = const crate::cpus::POST_BYTES,
    post_id = const crate::cpus::POST_ID,
    post_stack = const crate::cpus::POST_STACK,
    region_shift = const crate::memory::REGION_SHIFT,
    regions = const crate::memory::REGIONS,
    region = const crate::memory::REGION,
    emergency = const crate::memory::EMERGENCY,
    secondary = sym crate::cpus::secondary,
    start_from_firmware = sym crate::boot::openfirmware::start_from_firmware,
);

unsafe extern "C" {
    /// Where firmware starts further processors; not to be called.
    pub fn entry_secondary();
    /// Calls Open Firmware's client interface with the argument block at `block`; 0 is success.
    ///
    /// # Safety
    /// `entry` is the client interface of a firmware that still runs; the block, and every buffer that it names, are the caller's.
    pub fn firmware_call(block: u64, entry: u64) -> u64;
}
