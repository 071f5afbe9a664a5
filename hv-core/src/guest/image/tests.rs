use super::*;
use proptest::prelude::*;

/// A program header: offset in the file, physical address, bytes in the file, bytes in memory.
type Load = (u64, u64, u64, u64);

/// An ELF file for ppc64 with these load segments, 0x1000 bytes long.
fn elf_file(little: bool, entry: u64, loads: &[Load]) -> std::vec::Vec<u8> {
    let half = |n: u16| if little { n.to_le_bytes() } else { n.to_be_bytes() };
    let word = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
    let double = |n: u64| if little { n.to_le_bytes() } else { n.to_be_bytes() };
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, if little { 1 } else { 2 }, 1];
    file.resize(16, 0);
    file.extend([half(3), half(21)].concat());
    file.extend(word(1));
    file.extend([double(entry), double(64), double(0)].concat());
    file.extend(word(0));
    file.extend(
        [half(64), half(56), half(u16::try_from(loads.len()).expect("few")), half(64), half(0), half(0)].concat(),
    );
    for (offset, at, in_file, in_memory) in loads {
        file.extend([word(1), word(7)].concat());
        file.extend([*offset, *at, *at, *in_file, *in_memory, 0x1_0000].map(double).concat());
    }
    file.resize(0x1000, 0);
    file
}

const LINEAR: u64 = 0xc000_0000_0000_0000;

#[test]
fn a_kernel_linked_in_the_linear_map_goes_to_real_addresses() {
    for little in [true, false] {
        let file =
            elf_file(little, LINEAR, &[(0x800, LINEAR + 0x2_0000, 0x100, 0x5000), (0x400, LINEAR, 0x400, 0x400)]);
        let image = inspect(&file).expect("a kernel");
        assert_eq!((image.entry, image.end, image.little_endian), (0, 0x2_5000, little));
        let parts: std::vec::Vec<_> = image.segments.iter().map(|s| (s.guest, s.file_offset, s.memory_bytes)).collect();
        assert_eq!(parts, [(0, 0x400, 0x400), (0x2_0000, 0x800, 0x5000)]);
    }
}

#[test]
fn a_raw_image_goes_to_zero() {
    let image = inspect(&[0x08, 0, 0, 0x48]).expect("raw");
    assert_eq!((image.entry, image.segments[0].file_bytes, image.end), (0, 4, 4 + RAW_ROOM));
}

#[test]
fn what_is_no_kernel_is_refused_by_name() {
    assert_eq!(inspect(&[]), Err(ImageError::Empty));
    assert_eq!(inspect(b"MZ\x90\0"), Err(ImageError::NotPowerPc));
    assert_eq!(inspect(&[0x1f, 0x8b, 8]), Err(ImageError::Compressed));
    assert_eq!(inspect(b"\x7fELF"), Err(ImageError::Truncated));

    let mut x86 = elf_file(true, 0, &[(0, 0, 0x100, 0x100)]);
    x86[18] = 62;
    assert_eq!(inspect(&x86), Err(ImageError::NotPowerPc));
    let mut object = elf_file(true, 0, &[(0, 0, 0x100, 0x100)]);
    object[16] = 1;
    assert_eq!(inspect(&object), Err(ImageError::NotProgram));
}

#[test]
fn segments_that_cannot_be_are_refused_by_name() {
    let refused = |loads: &[Load]| inspect(&elf_file(true, 0, loads)).expect_err("refused");
    assert_eq!(refused(&[]), ImageError::NoLoadSegment);
    assert_eq!(refused(&[(0xf00, 0, 0x101, 0x101)]), ImageError::Truncated);
    assert_eq!(refused(&[(u64::MAX, 0, 2, 2)]), ImageError::Truncated);
    assert_eq!(refused(&[(0, 0, 0x200, 0x100)]), ImageError::Truncated);
    assert_eq!(refused(&[(0, MOST_BYTES, 1, 1)]), ImageError::TooLarge);
    assert_eq!(refused(&[(0, 0, 1, u64::MAX)]), ImageError::TooLarge);
    assert_eq!(refused(&[(0, 0, 0x100, 0x100), (0, 0xff, 0x100, 0x100)]), ImageError::Overlapping);
    assert_eq!(refused(&[(0, 0x1000, 0x100, 0x100)]), ImageError::BadEntry);
    let many: std::vec::Vec<Load> = (0..9).map(|n| (0, n * 0x1000, 1, 1)).collect();
    assert_eq!(refused(&many), ImageError::TooManySegments);
}

#[test]
fn a_file_that_was_cut_off_is_never_taken_for_whole() {
    let file = elf_file(true, 0, &[(0x800, 0, 0x800, 0x800)]);
    for len in 4..file.len() {
        assert!(inspect(&file[..len]).is_err(), "{len}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = inspect(&bytes);
    }

    /// What is accepted can be loaded: every part lies in the file and below the limit.
    #[test]
    fn an_accepted_elf_file_can_be_loaded(
        changes in proptest::collection::vec((16..240_usize, any::<u8>()), 0..6), little: bool
    ) {
        let mut file = elf_file(little, LINEAR, &[(0x400, LINEAR, 0x400, 0x400), (0x800, LINEAR + 0x2_0000, 0x100, 0x5000)]);
        for (at, byte) in changes {
            file[at] = byte;
        }
        if let Ok(image) = inspect(&file) {
            for part in &image.segments {
                prop_assert!(part.file_offset + part.file_bytes <= file.len());
                prop_assert!(part.guest + part.memory_bytes <= image.end);
            }
            prop_assert!(image.end <= MOST_BYTES + RAW_ROOM);
        }
    }
}
