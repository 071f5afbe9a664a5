# Single instructions that are expected to be answered by an interrupt. Each stands at its symbol's address, so that the
# test can say exactly where SRR0 must point. r3 is the argument.

.macro access name, instruction:vararg
    .globl op_\name
op_\name:
    \instruction
    blr
.endm

    .section .text.ops, "ax", @progbits
    access lbz, lbz 3, 0(3)
    access lhz, lhz 3, 0(3)
    access lwz, lwz 3, 0(3)
    access ld, ld 3, 0(3)
    access stb, stb 3, 0(3)
    access sth, sth 3, 0(3)
    access stw, stw 3, 0(3)
    access std, std 3, 0(3)
    access dcbz, dcbz 0, 3
    access ldarx, ldarx 3, 0, 3

    access illegal, .long 0
    access hrfid, hrfid
    access mtlpcr, mtspr 318, 3
    access mflpcr, mfspr 3, 318
    access mtlpidr, mtspr 319, 3
    access mtptcr, mtspr 464, 3
    access mthsrr0, mtspr 314, 3
    access mthdec, mtspr 310, 3
    access tlbie_partition, .long 0x7c011a64   # tlbie r3, r0, RIC=0, PRS=0, R=1
    access attn, .long 0x00000200

# Branches to r3; whatever stands there may return.
    .globl op_jump
op_jump:
    mtctr 3
    bctr

# A load or store with instruction and data translation on, and off again behind it.
.macro translated name, instruction:vararg
    .globl op_\name
op_\name:
    mfmsr 5
    ori 6, 5, 0x30
    mtmsrd 6
    isync
    \instruction
    mtmsrd 5
    isync
    blr
.endm
    translated ld_translated, ld 3, 0(3)
    translated std_translated, std 3, 0(3)

# A load or store with data translation on, and off again behind it: instructions stay real.
.macro mapped name, instruction:vararg
    .globl op_\name
op_\name:
    mfmsr 5
    ori 6, 5, 0x10
    mtmsrd 6
    isync
    \instruction
    mtmsrd 5
    isync
    blr
.endm
    mapped lbz_mapped, lbz 3, 0(3)
    mapped ld_mapped, ld 3, 0(3)
    mapped stb_mapped, stb 3, 0(3)
    mapped std_mapped, std 3, 0(3)
    mapped dcbz_mapped, dcbz 0, 3

# Goes on at r3 with instruction translation on. It can come back only by an interrupt.
    .globl op_fetch_mapped
op_fetch_mapped:
    mfmsr 5
    ori 5, 5, 0x20
    mtspr 26, 3
    mtspr 27, 5
    rfid

# slbmte of the two doublewords at r3: RS, RB.
    .globl op_slbmte
op_slbmte:
    ld 4, 8(3)
    ld 3, 0(3)
    isync
    slbmte 3, 4
    isync
    blr

# op_keep(r3 = pattern): keeps a pattern in r14 to r31 for the time of a loop; the bits in which one of them differs then.
    .globl op_keep
op_keep:
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (8 * \n - 256)(1)
    addi \n, 3, \n
    .endr
    lis 4, 4
    mtctr 4
1:  bdnz 1b
    li 5, 0
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    addi 4, 3, \n
    xor 4, 4, \n
    or 5, 5, 4
    ld \n, (8 * \n - 256)(1)
    .endr
    mr 3, 5
    blr

# Goes on at r3 in problem state, which implies translation and external interrupts.
    .globl op_user
op_user:
    mfmsr 5
    ori 5, 5, 0xc030
    mtspr 26, 3
    mtspr 27, 5
    rfid

# What runs there. It can come back only by an interrupt.
    .globl user_hcall, user_hcall_next, user_privileged
user_hcall:
    li 3, 0x54
    li 4, 0
    sc 1
user_hcall_next:
    sc
    b user_hcall_next
user_privileged:
    mfmsr 3
    sc
    b user_privileged
