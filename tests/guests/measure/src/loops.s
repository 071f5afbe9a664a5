# The loops that are timed. Each runs its event r4 times and returns the timebase ticks that this took; with r3 = 0 the event is left out and a
# `nop` stands in its place, so that the difference of the two is the event's cost and nothing else. Interrupts are off.

# loop_call(r3 = with the event, r4 = times, r5 = number, r6 = first argument): one hypervisor call.
# loop_cede(r3, r4): H_PROD of processor 0, then H_CEDE, which returns with interrupts on.
# loop_load, loop_store(r3, r4, r5 = address, r6 = bytes added to it each time).
# loop_entries(r3, r4, r5 = `Entries` of timing.rs): one call about a table's entry each time; r6 = where the return codes go, all of them or-ed.
# loop_mapped_load, loop_mapped_store(r3, r4, r5, r6): as loop_load and loop_store, with data translation on.
# loop_told(r3, r4, r5, r6): as loop_mapped_load; without the event it is a trap. Either is an interrupt of the guest's, whose handler goes on behind it.

    .set H_CEDE, 0xe0
    .set H_PROD, 0xe8
    .set MSR_DR, 0x10

# Data translation is switched the other way. CR stays.
.macro switch_translation
    mfmsr 0
    xori 0, 0, MSR_DR
    mtmsrd 0
    isync
.endm

# Nothing is loaded or stored but by the event while translation is on.
.macro timed name, mapped=0
    .globl loop_\name
loop_\name:
    mflr 0
    std 0, 16(1)
    std 28, -32(1)
    std 29, -24(1)
    std 30, -16(1)
    std 31, -8(1)
    stdu 1, -96(1)
    mr 31, 4
    mr 30, 5
    mr 29, 6
    .if \mapped
    switch_translation
    .endif
    cmpdi 3, 0
    mfspr 28, 268
    beq 2f
.endm

# The end of a turn: back to the turn's beginning, or out.
.macro again to
    addi 31, 31, -1
    cmpdi 31, 0
    bne \to
.endm

.macro finished mapped=0
3:  mfspr 3, 268
    subf 3, 28, 3
    .if \mapped
    switch_translation
    .endif
    addi 1, 1, 96
    ld 28, -32(1)
    ld 29, -24(1)
    ld 30, -16(1)
    ld 31, -8(1)
    ld 0, 16(1)
    mtlr 0
    blr
.endm

    .section .text.loops, "ax", @progbits
    timed call
1:  mr 3, 30
    mr 4, 29
    sc 1
    again 1b
    b 3f
2:  mr 3, 30
    mr 4, 29
    nop
    again 2b
    finished

    timed cede
1:  li 3, H_PROD
    li 4, 0
    sc 1
    li 3, H_CEDE
    sc 1
    li 0, 2
    mtmsrd 0, 1
    again 1b
    b 3f
2:  li 3, H_PROD
    li 4, 0
    nop
    li 3, H_CEDE
    nop
    li 0, 2
    mtmsrd 0, 1
    again 2b
    finished

    timed load
1:  ld 3, 0(30)
    add 30, 30, 29
    again 1b
    b 3f
2:  nop
    add 30, 30, 29
    again 2b
    finished

    timed store
1:  std 31, 0(30)
    add 30, 30, 29
    again 1b
    b 3f
2:  nop
    add 30, 30, 29
    again 2b
    finished

# Number, flags, entry, two doublewords; what is added to the entry and to the last doubleword each time. r8 to r12 are of no account.
.macro entry_call event:vararg
    ld 3, 0(30)
    ld 4, 8(30)
    ld 5, 16(30)
    ld 6, 24(30)
    ld 7, 32(30)
    \event
    ld 4, 0(29)
    or 3, 3, 4
    std 3, 0(29)
    ld 5, 16(30)
    ld 6, 40(30)
    add 5, 5, 6
    std 5, 16(30)
    ld 5, 32(30)
    ld 6, 48(30)
    add 5, 5, 6
    std 5, 32(30)
.endm

    timed entries
1:  entry_call sc 1
    again 1b
    b 3f
2:  entry_call nop
    again 2b
    finished

    timed mapped_load, 1
1:  ld 3, 0(30)
    add 30, 30, 29
    again 1b
    b 3f
2:  nop
    add 30, 30, 29
    again 2b
    finished 1

    timed mapped_store, 1
1:  std 31, 0(30)
    add 30, 30, 29
    again 1b
    b 3f
2:  nop
    add 30, 30, 29
    again 2b
    finished 1

    timed told, 1
1:  ld 3, 0(30)
    add 30, 30, 29
    again 1b
    b 3f
2:  trap
    add 30, 30, 29
    again 2b
    finished 1

# Memory that comes with the image: the hypervisor has it already, and none of it is zero.
    .section .data.image, "aw", @progbits
    .balign 0x10000
    .globl image_pages, image_pages_end
image_pages:
    .fill 0x300000 / 4, 4, 0x53616d65
image_pages_end:
    .balign 0x10000
