//! Kernel and initrd in one file: a `newc` cpio archive with the entries `kernel` and, if there is one, `initrd`. Firmware
//! that loads us as its kernel loads the bundle as our initrd.
//!
//! ```text
//!   "070701"  13 fields of 8 hexadecimal digits  name, zero byte, to a multiple of 4  data, to a multiple of 4   ... TRAILER!!!
//! ```

/// The parts of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// The kernel image.
    pub kernel: &'a [u8],
    /// The initial file system.
    pub initrd: Option<&'a [u8]>,
}

/// Why a bundle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// It does not begin as such an archive does.
    NotBundle,
    /// It ends in the middle of an entry, or without the end mark.
    Truncated,
    /// A number in a header is none.
    BadHeader,
    /// More entries than a bundle can have reason for.
    TooManyEntries,
    /// Two entries of one name.
    Twice,
    /// There is no entry `kernel`.
    NoKernel,
}

const MAGIC: &[u8] = b"070701";
const HEADER_BYTES: usize = 110;
const FIELD_BYTES: usize = 8;
/// Which of the fields after the magic are the sizes of the data and of the name.
const FILE_SIZE: usize = 6;
const NAME_SIZE: usize = 11;
/// Entries that are read before giving up, those of no interest included.
const MOST_ENTRIES: usize = 64;

/// Whether `file` begins like a bundle.
#[must_use]
pub fn is_bundle(file: &[u8]) -> bool {
    file.starts_with(MAGIC)
}

/// Finds the parts of the bundle at the beginning of `file`; entries of other names are passed over.
///
/// # Errors
/// [`BundleError`].
pub fn open(file: &[u8]) -> Result<Bundle<'_>, BundleError> {
    if !is_bundle(file) {
        return Err(BundleError::NotBundle);
    }
    let (mut kernel, mut initrd) = (None, None);
    let mut at = 0;
    for _ in 0..MOST_ENTRIES {
        let entry = Entry::read(file, at)?;
        let place = match entry.name {
            b"TRAILER!!!" => {
                let kernel = kernel.ok_or(BundleError::NoKernel)?;
                return Ok(Bundle { kernel, initrd });
            }
            b"kernel" => &mut kernel,
            b"initrd" => &mut initrd,
            _ => &mut None,
        };
        if place.replace(entry.data).is_some() {
            return Err(BundleError::Twice);
        }
        at = entry.next;
    }
    Err(BundleError::TooManyEntries)
}

/// One entry of the archive.
struct Entry<'a> {
    name: &'a [u8],
    data: &'a [u8],
    /// Where the next one begins.
    next: usize,
}

impl<'a> Entry<'a> {
    fn read(file: &'a [u8], at: usize) -> Result<Self, BundleError> {
        let header = slice(file, at, HEADER_BYTES)?;
        if !header.starts_with(MAGIC) {
            return Err(BundleError::BadHeader);
        }
        let name_at = at + HEADER_BYTES;
        let name_bytes = field(header, NAME_SIZE)?;
        let name = slice(file, name_at, name_bytes)?;
        let data_at = aligned(name_at + name_bytes)?;
        let data_bytes = field(header, FILE_SIZE)?;
        let data = slice(file, data_at, data_bytes)?;
        let name = name.strip_suffix(&[0]).ok_or(BundleError::BadHeader)?;
        Ok(Self { name, data, next: aligned(data_at + data_bytes)? })
    }
}

fn slice(file: &[u8], at: usize, len: usize) -> Result<&[u8], BundleError> {
    let end = at.checked_add(len).ok_or(BundleError::Truncated)?;
    file.get(at..end).ok_or(BundleError::Truncated)
}

fn aligned(at: usize) -> Result<usize, BundleError> {
    at.checked_next_multiple_of(4).ok_or(BundleError::Truncated)
}

fn field(header: &[u8], n: usize) -> Result<usize, BundleError> {
    let digits = slice(header, MAGIC.len() + n * FIELD_BYTES, FIELD_BYTES)?;
    digits.iter().try_fold(0, |number, digit| {
        let value = char::from(*digit).to_digit(16).ok_or(BundleError::BadHeader)?;
        Ok(number << 4 | value as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn archive(entries: &[(&str, &[u8])]) -> std::vec::Vec<u8> {
        let mut file = std::vec::Vec::new();
        for (name, data) in entries.iter().copied().chain([("TRAILER!!!", &[][..])]) {
            let mut fields = [0; 13];
            fields[FILE_SIZE] = data.len();
            fields[NAME_SIZE] = name.len() + 1;
            file.extend(MAGIC);
            fields.iter().for_each(|n| file.extend(format!("{n:08X}").bytes()));
            file.extend(name.bytes().chain([0]));
            file.resize(file.len().next_multiple_of(4), 0);
            file.extend(data);
            file.resize(file.len().next_multiple_of(4), 0);
        }
        file
    }

    #[test]
    fn the_parts_are_found_by_name() {
        let file = archive(&[("pad", b"x"), ("kernel", b"KERNEL"), ("initrd", b"INI")]);
        assert_eq!(open(&file), Ok(Bundle { kernel: b"KERNEL", initrd: Some(b"INI") }));
        let file = archive(&[("kernel", b"KERNEL")]);
        assert_eq!(open(&file), Ok(Bundle { kernel: b"KERNEL", initrd: None }));
    }

    #[test]
    fn what_is_no_bundle_is_refused_by_name() {
        assert_eq!(open(b""), Err(BundleError::NotBundle));
        assert_eq!(open(b"070701"), Err(BundleError::Truncated));
        assert_eq!(open(&archive(&[("initrd", b"x")])), Err(BundleError::NoKernel));
        assert_eq!(open(&archive(&[("kernel", b"x"), ("kernel", b"y")])), Err(BundleError::Twice));
        assert_eq!(open(&archive(&[("other", &b""[..]); 64])), Err(BundleError::TooManyEntries));
        let mut bad = archive(&[("kernel", b"x")]);
        bad[6 + 8 * FILE_SIZE] = b'+';
        assert_eq!(open(&bad), Err(BundleError::BadHeader));
    }

    #[test]
    fn a_bundle_that_was_cut_off_is_refused() {
        let file = archive(&[("kernel", b"KERNEL"), ("initrd", b"INI")]);
        for len in 0..file.len() - 3 {
            assert!(open(&file[..len]).is_err(), "{len}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(changes in proptest::collection::vec((0..200_usize, any::<u8>()), 0..8)) {
            let mut file = archive(&[("kernel", b"KERNEL"), ("initrd", b"INI")]);
            for (at, byte) in changes {
                file[at] = byte;
            }
            let _ = open(&file);
        }
    }
}
