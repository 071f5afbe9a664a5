# probe_lanes(r3 = lanes, r4 = factor and addend, r5 = page, r6 = stride, r7 = count).
# v0 lanes, v1 factor, v2 addend, v3 the rotation. lxvw4x and stxvw4x keep the lanes' order within themselves.
    .machine power8
    .globl probe_lanes
    .type probe_lanes,@function
probe_lanes:
    li 8, 16
    lxvw4x 32, 0, 3
    lxvw4x 33, 0, 4
    lxvw4x 34, 4, 8
    vspltisw 3, 1
    mtctr 7
1:  stxvw4x 32, 0, 5
    lxvw4x 32, 0, 5
    vmuluwm 0, 0, 1
    vadduwm 0, 0, 2
    vrlw 0, 0, 3
    add 5, 5, 6
    bdnz 1b
    stxvw4x 32, 0, 3
    blr
    .size probe_lanes, . - probe_lanes
