//! The real fault path under loom: every order of two CPUs at one space, with a stated bound on preemptions.
//!
//! The machine is as small as it can be: tables of two entries, two levels, a huge leaf is two pages, and host memory is a handful of frames that loom
//! watches, so that a frame that is freed too early shows itself as a data race. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p hv-core --no-default-features --features mmu --release interleavings`.

mod machine;
mod tests;
mod world;
