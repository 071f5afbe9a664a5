# One trial: every register gets its value, something happens, every register is stored.
# Offsets into a set are those of `Set` in set.rs; those into the context are those of `Context` in trial.rs.

    .set WANT, 0x3000
    .set GOT, 0x4000
    .set CONTEXT, 0x5000

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

    .section .low, "aw", @progbits
    .globl want, got, context
want:
    .space 0x1000
got:
    .space 0x1000
context:
    .space 0x1000

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

# trial(): loads the set `want`, goes on at its SRR0 with its SRR1 as MSR, and returns when an interrupt or `leave_direct` has
# stored the set `got`. What a register can hold is found out on the way: `want` keeps what was read back.
    .globl trial
trial:
    std 1, KEPT(0)
    std 2, (KEPT + 8)(0)
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (KEPT + 16 + 8 * (\n - 14))(0)
    .endr
    mflr 0
    std 0, (KEPT + 160)(0)
    mfcr 0
    std 0, (KEPT + 168)(0)
    everything_on
    li 4, WANT
    bl load_sprs
    bl store_sprs
    lfd 0, (WANT + FPSCR)(0)
    mtfsf 0xff, 0, 1, 0
    mffs 0
    stfd 0, (WANT + FPSCR)(0)
    lxv 32, (WANT + VSCR)(0)
    mtvscr 0
    mfvscr 0
    stxv 32, (WANT + VSCR)(0)
    .set n, 0
    .rept 64
    lxv n, (WANT + VSR + 16 * n)(0)
    .set n, n + 1
    .endr
    ld 3, (WANT + XER)(0)
    mtxer 3
    mfxer 3
    std 3, (WANT + XER)(0)
    ld 3, (WANT + SRR0)(0)
    mtspr 26, 3
    ld 3, (WANT + SRR1)(0)
    mtspr 27, 3
    ld 3, (WANT + CR)(0)
    mtcr 3
    ld 3, (WANT + LR)(0)
    mtlr 3
    ld 3, (WANT + CTR)(0)
    mtctr 3
    li 3, 1
    std 3, ACTIVE(0)
    .set n, 0
    .rept 32
    ld n, (WANT + 8 * n)(0)
    .set n, n + 1
    .endr
    rfid

# The end of a trial without an interrupt.
    .globl leave_direct
leave_direct:
    std 3, (GOT + 24)(0)
    li 3, 0

# r3 is stored, and holds the vector.
    .globl leave
leave:
    std 3, VECTOR(0)
    .irp n, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (GOT + 8 * \n)(0)
    .endr
    mfspr 3, 26
    std 3, (GOT + SRR0)(0)
    mfspr 3, 27
    std 3, (GOT + SRR1)(0)
    mfcr 3
    std 3, (GOT + CR)(0)
    mflr 3
    std 3, (GOT + LR)(0)
    mfctr 3
    std 3, (GOT + CTR)(0)
    mfxer 3
    std 3, (GOT + XER)(0)
    everything_on
    .set n, 0
    .rept 64
    stxv n, (GOT + VSR + 16 * n)(0)
    .set n, n + 1
    .endr
    mffs 0
    stfd 0, (GOT + FPSCR)(0)
    mfvscr 0
    stxv 32, (GOT + VSCR)(0)
    li 4, GOT
    bl store_sprs
    ld 3, ACTIVE(0)
    li 4, 0
    std 4, ACTIVE(0)
    cmpdi 3, 0
    beq 1f
    ld 0, (KEPT + 160)(0)
    mtlr 0
    ld 0, (KEPT + 168)(0)
    mtcr 0
    ld 1, KEPT(0)
    ld 2, (KEPT + 8)(0)
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld \n, (KEPT + 16 + 8 * (\n - 14))(0)
    .endr
    blr

# An interrupt outside of any trial. Whoever was interrupted is not gone back to, so its stack may be used from the top.
1:  lis 2, .TOC.@ha
    addi 2, 2, .TOC.@l
    lis 1, main_stack_top@ha
    addi 1, 1, main_stack_top@l
    li 0, 0
    stdu 0, -64(1)
    bl guest_stray
2:  b 2b
