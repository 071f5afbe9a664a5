//! What has to add up when a run ends.

use super::machine::{Machine, be_cpu};
use super::world::{FREE_AT_FIRST, touch_all_free};
use crate::mmu::audit::Audit;
use crate::mmu::stats::Pages;
use crate::mmu::{Cpu, Space};

/// A CPU at the model's guest.
pub type Seat<const B: bool = true> = crate::mmu::Seat<'static, 'static, Machine<B>>;
type Guest<const B: bool> = &'static Space<'static, Machine<B>>;

/// Seats `cpu`, does the work, and leaves.
pub fn on_cpu<R, const B: bool>(space: Guest<B>, cpu: Cpu, work: impl Fn(&Seat<B>) -> R) -> (Cpu, R) {
    be_cpu(cpu.id());
    let seat = Seat::new(space, cpu);
    let result = work(&seat);
    (seat.leave(), result)
}

/// Made − unmapped = live, for pages and tables; and no flush is owed where flushes reach every CPU.
pub fn check_books<const B: bool>(seat: &Seat<B>) {
    let audit = Audit::of(seat.space());
    assert_eq!((audit.transit, audit.broken), (0, 0));
    assert_eq!(seat.space().store().map_or(0, |store| store.held().pages), audit.stored);
    if B {
        seat.space().memory().hardware.check_what_is_cached(seat.space().top());
    }
    seat.with_cpu(|_, cpu| {
        let mut live: Pages = cpu.stats.made;
        live.subtract(&cpu.stats.unmapped);
        assert_eq!(live, audit.live);
        assert_eq!(cpu.stats.tables_made - cpu.stats.tables_freed, audit.tables);
    });
}

/// Every frame comes back, once.
pub fn tear_down<const B: bool>(seat: Seat<B>, others: impl IntoIterator<Item = Cpu>) {
    let memory = seat.space().memory();
    seat.with_cpu(|space, cpu| {
        space.clear(cpu);
        cpu.frames.drain(&memory.pool);
    });
    others.into_iter().for_each(|mut cpu| cpu.frames.drain(&memory.pool));
    assert_eq!((memory.pool.free_bytes(), memory.pool.double_frees()), (FREE_AT_FIRST, 0));
    touch_all_free(memory);
}
