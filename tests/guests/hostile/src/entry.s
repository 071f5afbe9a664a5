# The first byte of the image, the interrupt vectors, and the way from them to Rust and back.
# Offsets of the frame are those of `Frame` in trap.rs, offsets of the context those of `Context`.

    .set MSR_BASE, 0x1003        # ME, RI, LE; SF is added as bit 63
    .set SAVE, 0x40              # of the frame, above the stack header
    .set NIP, SAVE + 0x100
    .set MSR, SAVE + 0x108
    .set CTR, SAVE + 0x110
    .set LR, SAVE + 0x118
    .set XER, SAVE + 0x120
    .set CR, SAVE + 0x128
    .set VECTOR, SAVE + 0x130
    .set DAR, SAVE + 0x138
    .set DSISR, SAVE + 0x140
    .set FRAME, 0x200
    .set ANEW, -8                # from the upper end of a vCPU's stacks: the stack with which it begins anew, or 0
    .set KEPT_CR, -16
    .set NUMBER, -24             # of this vCPU among ours
    .set STACK, 0x8000           # of a vCPU, and above it the one for interrupts
    .set STACKS, 0xc000
    .set VCPUS, 8

    .section .head, "ax", @progbits

# The first word is a trap that never traps for a little-endian CPU, and a branch over the second word for a big-endian
# one. What a big-endian CPU runs then is stored byte by byte in its own order: it goes to `little`, an address below 32 KiB, little-endian.
.macro either_endian native, little
    .long 0x08000048
    b \native
    .long 0x01006039             # li    r11, 1
    .long 0x06f86b79             # sldi  r11, r11, 63
    .long 0x03106b61             # ori   r11, r11, MSR_BASE
    .long 0xa6037b7d             # mtsrr1 r11
    .2byte 0x8039                # li    r12, little
    .byte (\little - _start) >> 8 & 0xff, (\little - _start) & 0xff
    .long 0xa6039a7d             # mtsrr0 r12
    .long 0x2400004c             # rfid
.endm

# Goes on at a place with the machine state that everything here runs in. Changes r4 and r5.
.macro onwards place
    lis 4, \place@ha
    addi 4, 4, \place@l
    li 5, 1
    sldi 5, 5, 63
    ori 5, 5, MSR_BASE
    mtspr 26, 4
    mtspr 27, 5
    rfid
.endm

    .globl _start
_start:
    either_endian little_start, little_start
    .org 0x40
little_start:
    mr 31, 3
    onwards cold_start

# Where RTAS starts another vCPU: r3 is its number among ours.
    .org 0x80
    .globl started
started:
    either_endian little_started, little_started
little_started:
    mr 31, 3
    onwards warm_start

.macro vector at
    .org \at
    mtspr 273, 3
    li 3, \at
    b interrupt_entry
.endm

# A system reset before the first little-endian instruction is the machine's own reset: QEMU's -bios enters there.
    .org 0x100
    either_endian system_reset, little_start
# A vCPU that is to be reset again and again names a stack, and begins anew there: what it did is lost, and so no reset comes at a bad moment.
system_reset:
    mtspr 274, 1
    mfspr 1, 275
    mtspr 273, 3
    mfcr 3
    std 3, KEPT_CR(1)
    ld 3, ANEW(1)
    cmpdi 3, 0
    bne begin_anew
    ld 3, KEPT_CR(1)
    mtcr 3
    mfspr 1, 274
    li 3, 0x100
    b interrupt_entry
begin_anew:
    ld 4, NUMBER(1)
    mr 1, 3
    mr 3, 4
    li 0, 0
    stdu 0, -64(1)
    lis 2, .TOC.@ha
    addi 2, 2, .TOC.@l
    bl guest_anew
1:  b 1b
    .irp at, 0x200, 0x300, 0x380, 0x400, 0x480, 0x500, 0x600, 0x700, 0x800, 0x900, 0x980, 0xa00, 0xb00, 0xc00, 0xd00
    vector \at
    .endr
    .irp at, 0xe00, 0xe20, 0xe40, 0xe60, 0xe80, 0xea0, 0xf00, 0xf20, 0xf40, 0xf60, 0xf80, 0x1200, 0x1500, 0x1700
    vector \at
    .endr
    .org 0x1800

cold_start:
    lis 2, .TOC.@ha
    addi 2, 2, .TOC.@l
    lis 4, __bss_start@ha
    addi 4, 4, __bss_start@l
    lis 5, __bss_end@ha
    addi 5, 5, __bss_end@l
    li 0, 0
1:  cmpld 4, 5
    bge 2f
    std 0, 0(4)
    addi 4, 4, 8
    b 1b
2:  li 3, 0
    bl settle
    mr 3, 31
    bl guest_main
3:  b 3b

warm_start:
    lis 2, .TOC.@ha
    addi 2, 2, .TOC.@l
    mr 3, 31
    bl settle
    mr 3, 31
    bl guest_started
4:  b 4b

# settle(r3 = number of this vCPU): its stacks, whose upper end is in SPRG3 from now on. SPRG0 can be changed by a hypervisor call.
settle:
    addi 5, 3, 1
    mulli 5, 5, STACKS / 2
    add 5, 5, 5
    lis 4, stacks@ha
    addi 4, 4, stacks@l
    add 5, 5, 4
    mtspr 275, 5
    std 3, NUMBER(5)
    addi 1, 5, STACK - STACKS
    li 0, 0
    stdu 0, -64(1)
    blr

# r3 = vector; the interrupted r3 is in SPRG1. The exception stack is its own: nothing is stored where the interrupted
# code may have data below its stack pointer.
interrupt_entry:
    mtspr 274, 1
    mfspr 1, 275
    addi 1, 1, -FRAME
    .irp n, 0, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (SAVE + 8 * \n)(1)
    .endr
    std 3, VECTOR(1)
    mfspr 4, 274
    std 4, (SAVE + 8)(1)
    mfspr 4, 273
    std 4, (SAVE + 24)(1)
    mfspr 4, 26
    std 4, NIP(1)
    mfspr 4, 27
    std 4, MSR(1)
    mfctr 4
    std 4, CTR(1)
    mflr 4
    std 4, LR(1)
    mfxer 4
    std 4, XER(1)
    mfcr 4
    std 4, CR(1)
    mfspr 4, 19
    std 4, DAR(1)
    mfspr 4, 18
    std 4, DSISR(1)
    lis 2, .TOC.@ha
    addi 2, 2, .TOC.@l
    li 0, 0
    std 0, 0(1)
    addi 3, 1, SAVE
    bl guest_interrupt
    ld 4, NIP(1)
    mtspr 26, 4
    ld 4, MSR(1)
    mtspr 27, 4
    ld 4, CTR(1)
    mtctr 4
    ld 4, LR(1)
    mtlr 4
    ld 4, XER(1)
    mtxer 4
    ld 4, CR(1)
    mtcr 4
    .irp n, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld \n, (SAVE + 8 * \n)(1)
    .endr
    ld 1, (SAVE + 8)(1)
    rfid

# guard_call(r3 = context, r4 = function, r5 = argument, r6 = where its result goes): calls the function with external
# interrupts on and returns 0; or returns 1, from the interrupt handler, with the context's registers back.
    .globl guard_call
guard_call:
    mflr 0
    std 0, 0x90(3)
    mfcr 0
    std 0, 0x98(3)
    std 1, 0xa0(3)
    std 2, 0xa8(3)
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (8 * \n - 112)(3)
    .endr
    stdu 1, -64(1)
    mflr 0
    std 0, 80(1)
    std 6, 40(1)
    mr 12, 4
    mtctr 4
    mr 3, 5
    li 0, 0
    ori 0, 0, 0x8002
    mtmsrd 0, 1
    bctrl
    li 0, 2
    mtmsrd 0, 1
    ld 6, 40(1)
    std 3, 0(6)
    ld 0, 80(1)
    mtlr 0
    addi 1, 1, 64
    li 3, 0
    blr

    .section .bss
    .balign 4096
stacks:
    .space STACKS * VCPUS
