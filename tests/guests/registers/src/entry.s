# The first byte of the image, and the interrupt vectors.
#
# No register may change before it was stored, and none is free to hold an address. Each vCPU stores into an area of its own, whose address stands
# in an SPRG; another SPRG takes r4 meanwhile. Those two show nothing: so it is one pair in one half of the rounds, the other in the other.

    .set MSR_BASE, 0x1003        # ME, RI, LE; SF is added as bit 63

    .set SCRATCH, 272            # or 274, after a patch
    .set OWN, 273                # or 275
    .set AREA, 0x20000           # bytes of an area; its upper end is a stack's

# An instruction that names an SPRG, which tables of patches know.
.macro patched instruction:vararg
9:  \instruction
    .pushsection .patches, "a", @progbits
    .quad 9b
    .popsection
.endm

# r4 = this vCPU's area; the scratch register has what it was.
.macro own_area
    patched mtspr SCRATCH, 4
    patched mfspr 4, OWN
.endm

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

# Where RTAS starts a vCPU: r3 is its area.
    .org 0x80
    .globl started
started:
    either_endian little_started, little_started
little_started:
    mr 31, 3
    onwards warm_start

.macro vector at
    .org \at
    own_area
    std 3, (GOT + 24)(4)
    li 3, \at
    b leave
.endm

# A system reset before the first little-endian instruction is the machine's own reset: QEMU's -bios enters there.
    .org 0x100
    either_endian system_reset, little_start
system_reset:
    own_area
    std 3, (GOT + 24)(4)
    li 3, 0x100
    b leave

    .irp at, 0x200, 0x300, 0x380, 0x400, 0x480, 0x500, 0x600, 0x700, 0x800, 0x900, 0x980, 0xa00, 0xb00, 0xc00
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
2:  lis 3, areas@ha
    addi 3, 3, areas@l
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

# settle(r3 = area): makes the area this vCPU's own, with a stack at its upper end.
settle:
    mtspr 273, 3
    mtspr 275, 3
    addis 1, 3, AREA@ha
    addi 1, 1, AREA@l
    li 0, 0
    stdu 0, -64(1)
    blr
