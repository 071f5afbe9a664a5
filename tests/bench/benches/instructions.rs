//! Instructions per fault under each discipline, and of mutations as memory grows, counted by callgrind: exact, and the same on every run.

#![allow(missing_docs, reason = "the macros of the harness write items without any")]

use gungraun::Callgrind;
use gungraun::prelude::*;
use hv_core::mmu::pins::Pins;
use mmu_bench::baselines::{OneLock, ReadWrite};
use mmu_bench::faults::{Kind, Work};
use mmu_bench::growth::Grown;
use std::hint::black_box;

/// Takes the faults that were made beforehand, and hands everything back, so that nothing is given back to the system while it counts.
macro_rules! faults {
    ($name:ident, $discipline:ty) => {
        #[library_benchmark]
        #[bench::spurious(args = (Kind::Spurious), setup = Work::<$discipline>::new)]
        #[bench::zero(args = (Kind::Zero), setup = Work::<$discipline>::new)]
        #[bench::ahead(args = (Kind::Ahead), setup = Work::<$discipline>::new)]
        #[bench::image(args = (Kind::Image), setup = Work::<$discipline>::new)]
        #[bench::unshare(args = (Kind::Unshare), setup = Work::<$discipline>::new)]
        #[bench::upgrade(args = (Kind::Upgrade), setup = Work::<$discipline>::new)]
        fn $name(work: Work<$discipline>) -> Work<$discipline> {
            work.run();
            work
        }
    };
}

faults!(pins, Pins);
faults!(one_lock, OneLock);
faults!(read_write, ReadWrite);

library_benchmark_group!(name = faults, benchmarks = [pins, one_lock, read_write]);

/// One operation on guests of 1, 4 and 16 GiB.
macro_rules! growth {
    ($name:ident, $guest:ident($($more:literal)?), $operation:ident) => {
        #[library_benchmark]
        #[bench::gib_1(args = (1 $(, $more)?), setup = Grown::$guest)]
        #[bench::gib_4(args = (4 $(, $more)?), setup = Grown::$guest)]
        #[bench::gib_16(args = (16 $(, $more)?), setup = Grown::$guest)]
        fn $name(guest: Grown) -> Grown {
            black_box(guest.$operation());
            guest
        }
    };
}

growth!(start_log_sparse, sparse(), start_log);
growth!(start_log, small(), start_log);
growth!(stop_log, logged(), stop_log);
growth!(harvest_0, logged(), harvest);
growth!(harvest_1, dirty(1), harvest);
growth!(harvest_64, dirty(64), harvest);
growth!(unmap_4k, small(), unmap);
growth!(unmap_2m, large(), unmap);
growth!(split, large(), split);
growth!(promote_in_place, small(), promote);
growth!(promote_by_copy, scattered(), promote);

library_benchmark_group!(
    name = growth,
    benchmarks = [
        start_log_sparse,
        start_log,
        stop_log,
        harvest_0,
        harvest_1,
        harvest_64,
        unmap_4k,
        unmap_2m,
        split,
        promote_in_place,
        promote_by_copy
    ]
);

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = [faults, growth]
);
