//! Which number is which handler: two tables, indexed without a search.

use super::{Handler, console, interrupts, measuring, memory, processor, table_entries};
use crate::guest::rtas;
use crate::papr::hcall::*;

/// PAPR's own numbers are multiples of four.
const PAPR_CALLS: usize = LAST_PAPR as usize / 4 + 1;
/// The private ones stand side by side.
const PRIVATE_CALLS: usize = 2;

static PAPR: [Option<Handler>; PAPR_CALLS] = {
    let mut table: [Option<Handler>; PAPR_CALLS] = [None; PAPR_CALLS];
    let mut row = 0;
    while row < ROWS.len() {
        let (number, handler) = ROWS[row];
        assert!(number.is_multiple_of(4) && table[(number / 4) as usize].is_none());
        table[(number / 4) as usize] = Some(handler);
        row += 1;
    }
    table
};

static PRIVATE: [Handler; PRIVATE_CALLS] = [rtas::call, memory::memop];

const _: () = assert!(H_LOGICAL_MEMOP == H_RTAS + 1);

/// Those of a measuring guest, side by side from [`H_UPKEEP`] on.
static UPKEEP: [Handler; 5] =
    [measuring::start_log, measuring::harvest, measuring::stop_log, measuring::unmap, measuring::page_out];

/// Every call of PAPR that is offered.
const ROWS: [(u64, Handler); 36] = [
    (H_REMOVE, table_entries::remove),
    (H_ENTER, table_entries::enter),
    (H_READ, table_entries::read),
    (H_CLEAR_MOD, table_entries::clear_changed),
    (H_CLEAR_REF, table_entries::clear_referenced),
    (H_PROTECT, table_entries::protect),
    (H_BULK_REMOVE, table_entries::bulk_remove),
    (H_RESIZE_HPT_PREPARE, table_entries::prepare_resize),
    (H_RESIZE_HPT_COMMIT, table_entries::commit_resize),
    (H_SET_SPRG0, processor::set_sprg0),
    (H_SET_DABR, processor::no_dabr),
    (H_SET_XDABR, processor::no_dabr),
    (H_SET_MODE, processor::set_mode),
    (H_REGISTER_PROC_TBL, processor::register_process_table),
    (H_REGISTER_VPA, processor::register_vpa),
    (H_CEDE, processor::cede),
    (H_CONFER, processor::confer),
    (H_PROD, processor::prod),
    (H_SIGNAL_SYS_RESET, processor::signal_system_reset),
    (H_GET_CPU_CHARACTERISTICS, processor::characteristics),
    (H_RANDOM, processor::random),
    (H_PAGE_INIT, memory::page_init),
    (H_LOGICAL_CI_LOAD, memory::load),
    (H_LOGICAL_CI_STORE, memory::store),
    (H_LOGICAL_CACHE_LOAD, memory::load),
    (H_LOGICAL_CACHE_STORE, memory::store),
    (H_LOGICAL_ICBI, memory::icbi),
    (H_LOGICAL_DCBF, memory::dcbf),
    (H_GET_TERM_CHAR, console::get),
    (H_PUT_TERM_CHAR, console::put),
    (H_XIRR, interrupts::xirr),
    (H_XIRR_X, interrupts::xirr_x),
    (H_CPPR, interrupts::cppr),
    (H_EOI, interrupts::eoi),
    (H_IPI, interrupts::ipi),
    (H_IPOLL, interrupts::ipoll),
];

/// The handler of call `number`, if it is offered.
pub fn find(number: u64) -> Option<Handler> {
    if let Some(private) = number.checked_sub(H_RTAS) {
        return number.checked_sub(H_UPKEEP).map_or_else(|| nth(&PRIVATE, private), |function| nth(&UPKEEP, function));
    }
    if !number.is_multiple_of(4) {
        return None;
    }
    usize::try_from(number / 4).ok().and_then(|n| PAPR.get(n)).copied().flatten()
}

fn nth(table: &[Handler], n: u64) -> Option<Handler> {
    usize::try_from(n).ok().and_then(|n| table.get(n)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_found_and_nothing_else_is() {
        for (number, _) in ROWS {
            assert!(find(number).is_some(), "{number:#x}");
            assert!(find(number + 1).is_none() && find(number + 2).is_none());
        }
        assert!(find(H_RTAS).is_some() && find(H_LOGICAL_MEMOP).is_some());
        assert!((0..5).all(|function| find(H_UPKEEP + function).is_some()) && find(H_UPKEEP + 5).is_none());
        for number in [0, LAST_PAPR, LAST_PAPR + 4, H_RTAS - 1, H_RTAS + 2, H_ENTER_NESTED, u64::MAX, u64::MAX - 3] {
            assert!(find(number).is_none(), "{number:#x}");
        }
    }
}
