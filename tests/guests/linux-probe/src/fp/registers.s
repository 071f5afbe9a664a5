# probe_registers(r3 = block): offsets are those of `Block` in registers.rs.
    .machine power8
    .set LOAD, 0x000
    .set SEEN, 0x400
    .set SAVED, 0x800
    .set FPSCR_LOAD, 0xc00
    .set FPSCR_SEEN, 0xc08
    .set FPSCR_SAVED, 0xc10
    .set VSCR_LOAD, 0xc18
    .set VSCR_SEEN, 0xc20
    .set VSCR_SAVED, 0xc28
    .set GPR_SAVED, 0xc30
    .set PAGE, 0xc40
    .set STRIDE, 0xc48
    .set COUNT, 0xc50
    .set SYSCALL, 0xc58

# All 64 registers to or from block + base. Uses r5 and r6.
.macro all_vsrs op, base
    addi 5, 31, \base
    li 6, 0
    .set n, 0
    .rept 64
    \op n, 5, 6
    addi 6, 6, 16
    .set n, n + 1
    .endr
.endm

# FPSCR and VSCR from or to the block, through vs0 and vs32.
.macro write_status fpscr, vscr
    lfd 0, \fpscr(31)
    mtfsf 0xff, 0, 1, 0
    ld 5, \vscr(31)
    mtvsrwz 32, 5
    vspltw 0, 0, 1
    mtvscr 0
.endm
.macro read_status fpscr, vscr
    mffs 0
    stfd 0, \fpscr(31)
    mfvscr 0
    vspltw 0, 0, 3
    mfvsrwz 5, 32
    std 5, \vscr(31)
.endm

# One store and one load in each page.
.macro touch_pages
    ld 5, PAGE(31)
    ld 6, STRIDE(31)
    ld 7, COUNT(31)
    mtctr 7
1:  std 5, 0(5)
    ld 8, 8(5)
    add 5, 5, 6
    bdnz 1b
.endm

    .globl probe_registers
    .type probe_registers,@function
probe_registers:
    std 31, (GPR_SAVED)(3)
    mr 31, 3
    all_vsrs stxvd2x, SAVED
    read_status FPSCR_SAVED, VSCR_SAVED
    write_status FPSCR_LOAD, VSCR_LOAD
    all_vsrs lxvd2x, LOAD

    touch_pages
    ld 0, SYSCALL(31)
    sc
    touch_pages

    all_vsrs stxvd2x, SEEN
    read_status FPSCR_SEEN, VSCR_SEEN
    write_status FPSCR_SAVED, VSCR_SAVED
    all_vsrs lxvd2x, SAVED
    ld 31, (GPR_SAVED)(31)
    blr
    .size probe_registers, . - probe_registers
