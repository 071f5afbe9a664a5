//! The real table under loom: every order of two CPUs at one group of a guest's table, with at most three preemptions.
//!
//! The table is one group of two entries. Each CPU keeps what it has found until a flush takes it away, and records R and C as the emulator does: by the store of a byte from the copy that its search read. A flush waits
//! until the CPU is not in the middle of an access, as `tlbie` and its emulation do. Frames are watched: one that is given to somebody else too early shows itself as a data race.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p hv-core --no-default-features --features hash --release interleavings`.
//!
//! | file | what |
//! | --- | --- |
//! | `machine` | hardware and frames |
//! | `world` | a table and a guest's memory on it, made anew for each order; what CPUs do |
//! | `calls` | faults and accesses against the guest's calls |
//! | `memory` | faults, accesses and calls against memory that is taken away |
//! | `tables` | faults, accesses and calls against another table that takes the present one's place |

mod calls;
mod machine;
mod memory;
mod tables;
mod world;
