//! From the first instruction of the process to `run`.
//!
//! The kernel enters with r1 at argc, which the argument strings follow; nothing else may be assumed.

use crate::{args::Args, sys};

core::arch::global_asm!(
    ".globl _start",
    ".type _start,@function",
    "_start:",
    "mr 3, 1",
    "lis 2, .TOC.@ha",
    "addi 2, 2, .TOC.@l",
    "li 0, 0",
    "stdu 0, -32(1)", // the back chain ends here
    "bl {start}",
    "trap",
    ".size _start, . - _start",
    start = sym start,
);

/// Continues in Rust with the kernel's argument block.
extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: 1. `stack` is the initial stack pointer: `_start` passes r1 unchanged.
    //         2. The kernel laid argc and argv there before it entered us, and they live as long as the process.
    let args = unsafe { Args::from_stack(stack) };
    sys::exit(crate::run(&args) as usize)
}
