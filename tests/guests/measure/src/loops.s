# The loops that are timed. Each runs its event r4 times and returns the timebase ticks that this took; with r3 = 0 the event is left out and a
# `nop` stands in its place, so that the difference of the two is the event's cost and nothing else. Interrupts are off.

# loop_call(r3 = with the event, r4 = times, r5 = number, r6 = first argument): one hypervisor call.
# loop_cede(r3, r4): H_PROD of processor 0, then H_CEDE, which returns with interrupts on.
# loop_load, loop_store(r3, r4, r5 = address, r6 = bytes added to it each time).

    .set H_CEDE, 0xe0
    .set H_PROD, 0xe8

.macro timed name, registers
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

.macro finished
3:  mfspr 3, 268
    subf 3, 28, 3
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

# Memory that comes with the image: the hypervisor has it already, and none of it is zero.
    .section .data.image, "aw", @progbits
    .balign 0x10000
    .globl image_pages, image_pages_end
image_pages:
    .fill 0x300000 / 4, 4, 0x53616d65
image_pages_end:
    .balign 0x10000
