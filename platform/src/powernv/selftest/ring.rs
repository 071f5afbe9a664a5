//! The log's ring: its header is intact, and a burst of records stands in it in order and whole.
//!
//! A record stands between two zero bytes and has none inside (rzcobs: other bytes are copied as they are, with a byte of flags between some). So what is looked for is, in
//! each record, the bytes of a number that has no zero among them; each burst counts in its last byte.

use super::Report;
use crate::log;

/// Records of the burst.
const BURST: u8 = 100;
/// The number's other bytes.
const MARK: [u8; 3] = [0xc5, 0xd3, 0xe7];

/// One line.
pub fn run(report: &mut Report) {
    log::flush();
    let (start, lost) = (log::position(), log::lost());
    for count in 1..=BURST {
        let [a, b, c] = MARK;
        defmt::println!("self-test burst {=u32:#x}", u32::from_le_bytes([a, b, c, count]));
    }
    let (end, in_order) = (log::position(), in_order(start));
    let passes = log::is_intact() && in_order == BURST && log::lost() == lost;
    report.verdict(
        "log-ring",
        passes,
        format_args!(
            "header {}, {in_order} of {BURST} records in order, {} bytes, {} lost",
            if log::is_intact() { "intact" } else { "broken" },
            end - start,
            log::lost() - lost
        ),
    );
    log::flush();
}

/// How many records from position `at` on carry 1, 2, 3, ...
fn in_order(mut at: u64) -> u8 {
    let mut count = 0;
    while count < BURST && record_has(&mut at, count + 1) {
        count += 1;
    }
    count
}

/// Whether the record at `at` carries that number; goes on behind it.
fn record_has(at: &mut u64, count: u8) -> bool {
    let wanted = [MARK[0], MARK[1], MARK[2], count];
    let mut found = 0;
    while let Some(byte) = log::byte_at(*at) {
        *at += 1;
        match byte {
            // One ends a record, and one begins it.
            0 if found == 0 => continue,
            0 => return found == wanted.len(),
            _ => {}
        }
        // A byte of flags may stand in between.
        if found < wanted.len() && byte == wanted[found] {
            found += 1;
        }
    }
    false
}
