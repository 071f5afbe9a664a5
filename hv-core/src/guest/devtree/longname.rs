//! One PAPR name is longer than the 31 characters that the Devicetree Specification allows (2.2.4.1), and that the writer insists on. Open
//! Firmware and Linux read names of any length, so the tree is written with the name's first 31, and the last one is put
//! behind it afterwards.
//!
//! ```text
//!   header | reservations | structure | names: ... \0 ibm,processor-radix-AP-encoding \0
//!                                                                                     ^ s
//! ```
//!
//! Names stand at the end of the tree in the order of their first use. So the long one has to be used after all others: it is the
//! last property of a processor, and processors are written last.

use super::TreeError;
use alloc::vec::Vec;

/// The name without its last character.
pub const RADIX_ENCODINGS: &str = "ibm,processor-radix-AP-encoding";
/// What is missing.
const MISSING: u8 = b's';
/// Big-endian words of the header (Devicetree Specification 5.2).
const TOTAL_SIZE: usize = 4;
const NAMES_SIZE: usize = 32;

/// Gives the last name of `tree` its last character.
///
/// # Errors
/// [`TreeError::Malformed`] if the last name is another one.
pub fn complete(mut tree: Vec<u8>) -> Result<Vec<u8>, TreeError> {
    let names = tree.strip_suffix(&[0]).ok_or(TreeError::Malformed)?;
    if !names.ends_with(RADIX_ENCODINGS.as_bytes()) {
        return Err(TreeError::Malformed);
    }
    tree.pop();
    tree.extend([MISSING, 0]);
    for at in [TOTAL_SIZE, NAMES_SIZE] {
        let word = tree.get_mut(at..at + 4).and_then(|bytes| bytes.first_chunk_mut::<4>());
        let word = word.ok_or(TreeError::Malformed)?;
        let longer = u32::from_be_bytes(*word).checked_add(1).ok_or(TreeError::TooLarge)?;
        *word = longer.to_be_bytes();
    }
    Ok(tree)
}
