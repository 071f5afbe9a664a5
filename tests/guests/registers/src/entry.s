# The first byte of the image, and the interrupt vectors.
#
# No register may change before it was stored, and none is free to hold an address: everything is stored at addresses below 32 KiB,
# which an instruction can name by itself (RA = 0 means no base register).

    .set MSR_BASE, 0x1003        # ME, RI, LE; SF is added as bit 63

    .section .head, "ax", @progbits

# The first word is a trap that never traps for a little-endian CPU, and a branch over the second word for a big-endian
# one. What a big-endian CPU runs then is stored byte by byte in its own order: it goes to 0x40, little-endian.
    .globl _start
_start:
    .long 0x08000048
    b little_start
    .long 0x01006039             # li    r11, 1
    .long 0x06f86b79             # sldi  r11, r11, 63
    .long 0x03106b61             # ori   r11, r11, MSR_BASE
    .long 0xa6037b7d             # mtsrr1 r11
    .long 0x40008039             # li    r12, 0x40
    .long 0xa6039a7d             # mtsrr0 r12
    .long 0x2400004c             # rfid
    .org 0x40
little_start:
    mr 31, 3
    lis 4, cold_start@ha
    addi 4, 4, cold_start@l
    li 5, 1
    sldi 5, 5, 63
    ori 5, 5, MSR_BASE
    mtspr 26, 4
    mtspr 27, 5
    rfid

.macro vector at
    .org \at
    std 3, (GOT + 24)(0)
    li 3, \at
    b leave
.endm
    .irp at, 0x100, 0x200, 0x300, 0x380, 0x400, 0x480, 0x500, 0x600, 0x700, 0x800, 0x900, 0x980, 0xa00, 0xb00, 0xc00
    vector \at
    .endr
    .irp at, 0xd00, 0xe00, 0xe20, 0xe40, 0xe60, 0xe80, 0xea0, 0xf00, 0xf20, 0xf40, 0xf60, 0xf80, 0x1200, 0x1500, 0x1700
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
2:  lis 1, main_stack_top@ha
    addi 1, 1, main_stack_top@l
    stdu 0, -64(1)
    mr 3, 31
    bl guest_main
3:  b 3b

    .section .bss
    .balign 4096
main_stack:
    .space 0x8000
main_stack_top:
