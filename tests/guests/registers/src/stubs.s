# What a trial runs: an instruction that makes an exit, and a way back. In supervisor state that is a branch, which changes no
# register; in problem state a system call, which changes SRR0 and SRR1 only.

    .section .text.stubs, "ax", @progbits
    .balign 16

.macro stub name, instruction:vararg
    .globl super_\name, user_\name
super_\name:
    \instruction
    b leave_direct
user_\name:
    \instruction
    sc
    b user_\name
.endm

    stub hcall, sc 1
    stub load, ld 5, 0(4)
    stub store, std 5, 0(4)
    stub vector_load, lxv 63, 0(4)
    stub vector_store, stxv 63, 0(4)
    stub spin, bdnz .
    stub stand, b .
    stub illegal, .long 0
    stub facility, .long 0x7c00211c      # msgsndp r4

# The decrementer's interrupt may come a moment after the call has returned.
    .globl super_cede, user_cede
super_cede:
user_cede:
    sc 1
    b .

# A field of image pages: each begins with the way back from supervisor state, then has the one from problem state.
    .section .field, "awx", @progbits
    .globl field
field:
    .rept 1024
    b leave_direct
    sc
    b . - 4
    .space 4084
    .endr
