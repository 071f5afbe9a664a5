//! `ibm,pa-features`: which optional parts of the architecture a processor has (LoPAR C.6.2, table of attributes). A length byte, a
//! type byte (0), then one bit field a byte; most attributes use bit 0 of an even byte.

use super::Translation;
use alloc::vec;
use alloc::vec::Vec;
use ppc64_arch::pvr::Cpu;

/// What all processors of ours have: a byte and the bits in it.
const COMMON: [(usize, u8); 26] = [
    (0, 0xf6),  // translation, floating point, SLB, run latch, no-execute
    (1, 0x3f),  // rounding instructions, SPRG3, protection key 110
    (2, 0xc7),  // virtual page class keys, ISA 2.02, 2.05 and 2.06, program priority
    (3, 0xc0),  // large segments, strided streams
    (5, 0xf0),  // little-endian, come-from address, elastic barriers, lq and stq
    (6, 0x80),  // ISA 2.07
    (16, 0x80), // vector
    (18, 0x80), // vector-scalar
    (20, 0x80), // vector exclusive or
    (24, 0x80), // extended decrementer
    (26, 0x80), // 64-bit additions of ISA 2.07
    (28, 0x80), // performance monitor
    (32, 0x80), // little-endian atomics
    (34, 0xc0), // event-based branches
    (40, 0x80), // radix translation
    (42, 0x80), // performance monitor of ISA 3.0
    (44, 0x80), // relative addresses of PC
    (46, 0x80), // vectored system call
    (48, 0x80), // vector of ISA 3.0
    (50, 0x80), // quad-precision floating point
    (52, 0x80), // strings
    (54, 0x80), // decimal floating point
    (56, 0x80), // decimal integers
    (58, 0x80), // SHA
    (60, 0x80), // new atomics
    (62, 0x80), // random numbers (darn)
];

/// What is radix's, and not for a hash guest.
const RADIX: usize = 40;

/// What Power ISA 3.1 has on top.
const ISA_3_1: [(usize, u8); 3] = [
    (64, 0x80), // second data address watchpoint
    (68, 0xce), // dynamic execution control
    (72, 0x80), // hashst and hashchk
];

/// Bytes of attributes, the two bytes in front not counted.
const fn attribute_bytes(cpu: Cpu) -> usize {
    if cpu.is_v31() { 74 } else { 66 }
}

/// The property's value.
#[must_use]
pub fn pa_features(cpu: Cpu, translation: Translation) -> Vec<u8> {
    let bytes = attribute_bytes(cpu);
    let mut value = vec![0; 2 + bytes];
    value[0] = u8::try_from(bytes).unwrap_or(u8::MAX);
    let more: &[(usize, u8)] = if cpu.is_v31() { &ISA_3_1 } else { &[] };
    for (byte, bits) in COMMON.iter().chain(more) {
        value[2 + byte] = *bits;
    }
    if translation != Translation::Radix {
        value[2 + RADIX] = 0;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(cpu: Cpu) -> Vec<u32> {
        let value = pa_features(cpu, Translation::Radix);
        value.chunks(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    #[test]
    fn power9_has_what_firmware_says_it_has() {
        let expected = [
            0x4200_f63f,
            0xc7c0_00f0,
            0x8000_0000,
            0,
            0x0000_8000,
            0x8000_8000,
            0x0000_8000,
            0x8000_8000,
            0x0000_8000,
            0xc000_0000,
            0x0000_8000,
            0x8000_8000,
            0x8000_8000,
            0x8000_8000,
            0x8000_8000,
            0x8000_8000,
            0x8000_0000,
        ];
        assert_eq!(words(Cpu::Power9), expected);
    }

    #[test]
    fn power10_has_more() {
        let words = words(Cpu::Power10);
        assert_eq!((words.len(), words[0]), (19, 0x4a00_f63f));
        assert_eq!(words[16..], [0x8000_8000, 0x0000_ce00, 0x0000_8000]);
    }
}
