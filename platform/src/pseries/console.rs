//! Virtual terminals: up to 16 bytes a call, in two registers whose most significant byte comes first (PAPR chapter 16, virtual terminals).

use super::{H_SUCCESS, call, number};

/// A virtual terminal, by its unit address; 0 means the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vty(u64);

/// The first terminal: where QEMU's own console is. Known without a device tree.
pub const FIRST: Vty = Vty(0);

/// Bytes that one call carries.
const CHUNK: usize = 16;

impl Vty {
    /// The terminal with this unit address (`reg` of its node).
    #[must_use]
    pub const fn new(unit: u64) -> Self {
        Self(unit)
    }

    /// Writes what the terminal takes now; how many bytes that were.
    pub fn write(self, bytes: &[u8]) -> usize {
        let mut written = 0;
        for chunk in bytes.chunks(CHUNK) {
            let [high, low] = pack(chunk);
            // SAFETY: 1. H_PUT_TERM_CHAR touches no memory of ours.
            let answer = unsafe { call(number::H_PUT_TERM_CHAR, &[self.0, chunk.len() as u64, high, low]) };
            if answer.code != H_SUCCESS {
                break;
            }
            written += chunk.len();
        }
        written
    }

    /// Reads what was typed; how many bytes.
    pub fn read(self, into: &mut [u8]) -> usize {
        if into.len() < CHUNK {
            return 0;
        }
        // SAFETY: 1. H_GET_TERM_CHAR answers in registers and touches no memory of ours.
        let answer = unsafe { call(number::H_GET_TERM_CHAR, &[self.0]) };
        if answer.code != H_SUCCESS {
            return 0;
        }
        let count = crate::memory::index(answer.values[0]).min(CHUNK);
        let bytes = (u128::from(answer.values[1]) << 64 | u128::from(answer.values[2])).to_be_bytes();
        into[..count].copy_from_slice(&bytes[..count]);
        count
    }
}

/// Up to 16 bytes as the two registers.
fn pack(chunk: &[u8]) -> [u64; 2] {
    let mut bytes = [0; CHUNK];
    bytes[..chunk.len()].copy_from_slice(chunk);
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes([i, j, k, l, m, n, o, p])]
}
