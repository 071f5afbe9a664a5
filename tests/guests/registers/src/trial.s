# One trial: every register gets its value, something happens, every register is stored.
# r4 is this vCPU's area all the way: the last register to be loaded, and the first to be stored.
# Offsets into the area are those of `Area` in area.rs, those into a set those of `Set` in set.rs.

    .set WANT, 0
    .set GOT, 0x1000
    .set CONTEXT, 0x2000

    .set VSR, 0x100
    .set VSCR, 0x500
    .set FPSCR, 0x510
    .set LR, 0x518
    .set CTR, 0x520
    .set XER, 0x528
    .set CR, 0x530
    .set SRR0, 0x538
    .set SRR1, 0x540
    .set SPRS, 0x548

    .set ACTIVE, CONTEXT
    .set VECTOR, CONTEXT + 8
    .set KEPT, CONTEXT + 16      # r1, r2, r14 to r31, LR, CR of whoever called `trial`

    .section .text.trial, "ax", @progbits

# Floating point and vectors on, translation off, interrupts off. Changes r3.
.macro everything_on
    li 3, 1
    sldi 3, 3, 63
    oris 3, 3, 0x280
    ori 3, 3, 0x3003
    mtmsrd 3
    isync
.endm

# trial(r3 = area): loads the set `want`, goes on at its SRR0 with its SRR1 as MSR, and returns when an interrupt or `leave_direct` has
# stored the set `got`. What a register can hold is found out on the way: `want` keeps what was read back.
    .globl trial
trial:
    mr 4, 3
    std 1, KEPT(4)
    std 2, (KEPT + 8)(4)
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (KEPT + 16 + 8 * (\n - 14))(4)
    .endr
    mflr 0
    std 0, (KEPT + 160)(4)
    mfcr 0
    std 0, (KEPT + 168)(4)
    everything_on
    bl load_sprs
    bl store_sprs
    lfd 0, (WANT + FPSCR)(4)
    mtfsf 0xff, 0, 1, 0
    mffs 0
    stfd 0, (WANT + FPSCR)(4)
    lxv 32, (WANT + VSCR)(4)
    mtvscr 0
    mfvscr 0
    stxv 32, (WANT + VSCR)(4)
    .set n, 0
    .rept 64
    lxv n, (WANT + VSR + 16 * n)(4)
    .set n, n + 1
    .endr
    ld 3, (WANT + XER)(4)
    mtxer 3
    mfxer 3
    std 3, (WANT + XER)(4)
    ld 3, (WANT + SRR0)(4)
    mtspr 26, 3
    ld 3, (WANT + SRR1)(4)
    mtspr 27, 3
    ld 3, (WANT + CR)(4)
    mtcr 3
    ld 3, (WANT + LR)(4)
    mtlr 3
    ld 3, (WANT + CTR)(4)
    mtctr 3
    li 3, 1
    std 3, ACTIVE(4)
    .irp n, 0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld \n, (WANT + 8 * \n)(4)
    .endr
    ld 4, (WANT + 32)(4)
    rfid

# The end of a trial without an interrupt.
    .globl leave_direct
leave_direct:
    own_area
    std 3, (GOT + 24)(4)
    li 3, 0

# r4 is the area; r3 is stored, and holds the vector.
    .globl leave
leave:
    std 3, VECTOR(4)
    .irp n, 0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (GOT + 8 * \n)(4)
    .endr
    patched mfspr 3, SCRATCH
    std 3, (GOT + 32)(4)
    mfspr 3, 26
    std 3, (GOT + SRR0)(4)
    mfspr 3, 27
    std 3, (GOT + SRR1)(4)
    mfcr 3
    std 3, (GOT + CR)(4)
    mflr 3
    std 3, (GOT + LR)(4)
    mfctr 3
    std 3, (GOT + CTR)(4)
    mfxer 3
    std 3, (GOT + XER)(4)
    everything_on
    .set n, 0
    .rept 64
    stxv n, (GOT + VSR + 16 * n)(4)
    .set n, n + 1
    .endr
    mffs 0
    stfd 0, (GOT + FPSCR)(4)
    mfvscr 0
    stxv 32, (GOT + VSCR)(4)
    addi 4, 4, GOT
    bl store_sprs
    addi 4, 4, -GOT
    ld 3, ACTIVE(4)
    li 0, 0
    std 0, ACTIVE(4)
    cmpdi 3, 0
    beq 1f
    ld 0, (KEPT + 160)(4)
    mtlr 0
    ld 0, (KEPT + 168)(4)
    mtcr 0
    ld 1, KEPT(4)
    ld 2, (KEPT + 8)(4)
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld \n, (KEPT + 16 + 8 * (\n - 14))(4)
    .endr
    blr

# An interrupt outside of any trial. Whoever was interrupted is not gone back to, so its stack may be used from the top.
1:  lis 2, .TOC.@ha
    addi 2, 2, .TOC.@l
    addis 1, 4, AREA@ha
    addi 1, 1, AREA@l
    li 0, 0
    stdu 0, -64(1)
    mr 3, 4
    bl guest_stray
2:  b 2b
