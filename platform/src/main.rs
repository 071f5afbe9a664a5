//! Samewise.
#![no_std]
#![no_main]

mod boot;
mod console;
mod head;
mod interrupt;
mod log;
mod memory;
mod panic;
mod pseries;
use core::fmt::Write;

/// start
pub extern "C" fn start(fdt: u64) -> ! {
    memory::arm_stack_guards();
    pseries::use_little_endian_interrupts();
    _ = writeln!(console::Console, "hello {fdt:#x}");
    panic!("test")
}
#[defmt::global_logger]
struct L;
unsafe impl defmt::Logger for L {
    fn acquire() {}
    unsafe fn flush() {}
    unsafe fn release() {}
    unsafe fn write(_: &[u8]) {}
}
