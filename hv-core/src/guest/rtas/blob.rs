//! What the guest calls: five instructions in its own memory, below 4 GiB, entered in real mode, big-endian, 32-bit, with the argument
//! block in r3 (LoPAR 7.2.1). They are position-independent and touch no memory.

/// The instructions.
const CODE: [u32; 5] = [
    0x7c64_1b78, // mr   r4,r3       the block is the first argument
    0x3c60_0000, // lis  r3,0        H_RTAS, without the sign extension of li
    0x6063_f000, // ori  r3,r3,0xf000
    0x4400_0022, // sc   1           to the hypervisor
    0x4e80_0020, // blr              r3 is the return code
];

/// Bytes of [`image`].
pub const BYTES: usize = 4 * CODE.len();

const _: () = assert!(CODE[2] as u64 & 0xffff == crate::papr::hcall::H_RTAS);

/// The blob as it stands in memory: big-endian whatever the guest's byte order.
#[must_use]
pub fn image() -> [u8; BYTES] {
    let mut image = [0; BYTES];
    for (bytes, word) in image.chunks_exact_mut(4).zip(CODE) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blob_is_big_endian() {
        assert_eq!(image()[..4], [0x7c, 0x64, 0x1b, 0x78]);
        assert_eq!(image()[12..], [0x44, 0x00, 0x00, 0x22, 0x4e, 0x80, 0x00, 0x20]);
    }
}
