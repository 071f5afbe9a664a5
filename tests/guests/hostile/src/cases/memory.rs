//! Memory that is there: zero until written, private once written.

use crate::machine::Machine;
use crate::memory::{self, PAGE, VICTIM_WORD};
use crate::report::{Case, Verdict, fail};

pub const CASES: &[Case] = &[
    Case::new("untouched memory is zero", untouched_is_zero),
    Case::new("memory touched here and there", sparse),
    Case::new("image page is copied on write", copied_on_write),
    Case::new("store across an image page's end", across_pages),
];

/// So many pages, spread evenly.
const SAMPLES: u64 = 97;

/// The free pages of the sample.
fn samples(machine: &Machine) -> impl Iterator<Item = u64> {
    let step = (machine.end / SAMPLES) & !(PAGE - 1);
    (0..SAMPLES).map(move |n| n * step).filter(|&start| machine.is_free(start, PAGE))
}

fn untouched_is_zero(machine: &Machine) -> Verdict {
    for start in samples(machine) {
        if let Some(place) = (start..start + PAGE).step_by(8).find(|&place| memory::read(place) != 0) {
            fail!("{:#x} at {place:#x}", memory::read(place));
        }
    }
    Ok(())
}

/// A page that stood for two addresses would lose the first value; all are written before any is read.
fn sparse(machine: &Machine) -> Verdict {
    samples(machine).for_each(|start| memory::write(start + 8, !start));
    for start in samples(machine) {
        let found = [memory::read(start), memory::read(start + 8)];
        if found != [0, !start] {
            fail!("{found:x?} at {start:#x}");
        }
    }
    if samples(machine).count() < 64 { fail!("fewer than 64 pages") } else { Ok(()) }
}

/// Writes one doubleword into the middle page of three that came with the image.
fn copied_on_write(_: &Machine) -> Verdict {
    let start = memory::victim();
    let target = start + PAGE + 0x128;
    expect_victim(None)?;
    memory::write(target, 1);
    expect_victim(Some(target))?;
    memory::write(target, VICTIM_WORD);
    expect_victim(None)
}

/// All three pages are as loaded, but for one doubleword, which is 1.
fn expect_victim(changed: Option<u64>) -> Verdict {
    let start = memory::victim();
    for place in (start..start + 3 * PAGE).step_by(8) {
        let expected = if changed == Some(place) { 1 } else { VICTIM_WORD };
        let found = memory::read(place);
        if found != expected {
            fail!("{found:#x} at {place:#x}, expected {expected:#x}");
        }
    }
    Ok(())
}

/// An unaligned store needs both of two pages at once.
fn across_pages(_: &Machine) -> Verdict {
    let boundary = memory::victim() + PAGE;
    let place = core::ptr::with_exposed_provenance_mut::<u64>(usize::try_from(boundary - 4).unwrap_or(0));
    // SAFETY: 1. The eight bytes lie in the victim pages, which are no Rust object in use. 2. Marked as unaligned.
    unsafe { place.write_unaligned(u64::MAX) };
    memory::sync();
    let found = [memory::read(boundary - 8), memory::read(boundary)];
    let expected = [VICTIM_WORD | 0xffff_ffff << 32, VICTIM_WORD | 0xffff_ffff];
    memory::write(boundary - 8, VICTIM_WORD);
    memory::write(boundary, VICTIM_WORD);
    if found == expected { Ok(()) } else { fail!("{found:x?}, expected {expected:x?}") }
}
