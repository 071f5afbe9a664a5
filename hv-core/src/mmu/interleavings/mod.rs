//! The real memory core under loom: every order of two CPUs at one guest, with a stated bound on preemptions; and under shuttle, where three CPUs do many things in random
//! orders.
//!
//! The machine is as small as it can be: tables of two entries, two levels, a huge leaf is two pages, and host memory is a handful of frames that are
//! watched, so that a frame that is freed too early shows itself as a data race. Each CPU keeps what it has translated until a flush takes it away, so that a flush that is
//! missing shows itself as well. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p hv-core --no-default-features --features guest,hash --release interleavings`; with `-- --nocapture` each test prints how many orders it
//! went through.
//!
//! ```text
//!   machine   memory that tells who may do what to a frame; CPUs with cached translations
//!   world     one guest on it, made anew for each order
//!   harness   two CPUs in every order; then the books, and everything freed once
//!   guest     what a CPU does: loads, stores, fetches, the hypervisor's reads and writes
//!   scene     what stands at two neighbouring pages before they meet
//!   account   what has to add up when a run ends
//!   prepare   what makes a stale translation or a frame freed too early show itself
//!   pair      a racer against a mutation, and what has to hold whichever they are
//! ```
//!
//! | file | who meets whom | what is defended |
//! | --- | --- | --- |
//! | `faults`, `races` | faults and faults | the comparison at the commit, transit, marks in the log |
//! | `pages` | faults and unmap, empty, page-out, ageing, split, promotion, pruning | flush and grace before a frame or table is freed, copied or read; break before make |
//! | `slots` | faults and slots that come, go, change | sequence, pin, grace; the flush after a downgrade |
//! | `log` | faults and the dirty log | mark after swap; harvest takes, then protects, flushes, waits |
//! | `trios` | three CPUs: two accesses and a mutation | the same, where a third one is in between |
//! | `turns` | mutations and mutations | the lock |
//! | `storm` | all of it, many steps, random orders (`--cfg shuttle`) | what loads see, the log, books, frames |
//! | `waits` | faults that sleep and whoever ends what they wait for | the token before the second try, what is settled before the look at the tokens |
//! | `residency` | CPUs that enter the guest and flushes that do not reach them | the version, inside and out |
//! | `places` | CPUs that come to a partition and flushes that stay on one | the place before the walk, the entry before the place |

mod account;
#[cfg(loom)]
mod faults;
mod guest;
#[cfg(loom)]
mod harness;
#[cfg(loom)]
mod log;
mod machine;
#[cfg(loom)]
mod pages;
#[cfg(loom)]
mod pair;
#[cfg(loom)]
mod places;
#[cfg(loom)]
mod prepare;
#[cfg(loom)]
mod races;
#[cfg(loom)]
mod residency;
#[cfg(loom)]
mod scene;
#[cfg(loom)]
mod slots;
#[cfg(shuttle)]
mod storm;
#[cfg(loom)]
mod trios;
#[cfg(loom)]
mod turns;
#[cfg(loom)]
mod waits;
mod world;
