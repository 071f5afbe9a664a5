//! Samewise.
#![no_std]
#![no_main]

extern crate alloc;
mod boot;
mod console;
mod head;
mod heap;
mod interrupt;
mod log;
mod memory;
mod panic;
mod pseries;
use core::fmt::Write;
use hv_core::guest::*;

/// start
pub extern "C" fn start(fdt: u64) -> ! {
    memory::arm_stack_guards();
    pseries::use_little_endian_interrupts();
    heap::init();
    let mut c = console::Console;
    let m = match unsafe { boot::fdt::read(fdt) } { Ok(m) => m, Err(e) => { _ = writeln!(c, "{e}"); panic!() } };
    pseries::rtas::learn(m.rtas);
    _ = writeln!(c, "{m:#x?}");
    log::set_clock(m.timebase_hz);
    if let Some(v) = m.terminals.get(1) { log::attach(pseries::console::Terminal::new(v.unit)); }
    defmt::info!("hello {=u64}", 42);
    _ = writeln!(c, "time {:?}", pseries::rtas::wall_clock());
    if let Err(e) = pseries::nested::init() { _ = writeln!(c, "{e}"); panic!() }
    // tiny L2 
    const P: u64 = 0x1000_0000;
    let w = |a: u64, v: u64| unsafe { core::ptr::with_exposed_provenance_mut::<u64>(a as usize).write_volatile(v) };
    let l0 = P; let l1 = P + 0x10000; let l2 = P + 0x20000; let l3 = P+0x30000; let page = P + 0x100000;
    for i in 0..0x40000/8 { w(P + i*8, 0) }
    w(l0, ((1<<63) | l1 | 9u64).to_be()); w(l1, ((1<<63) | l2 | 9u64).to_be()); w(l2, ((1<<63) | l3 | 5u64).to_be());
    w(l3, ((3<<62) | page | 0x187u64).to_be());
    pseries::nested::set_partition(1, ppc64_arch::radix::pate::partition_scoped(ppc64_arch::addr::HostReal::new(l0), &ppc64_arch::radix::geometry::ROOT), 0);
    // li r3,7; sc 1; lis r4,0x90; ld r5,8(r4); b .
    let code: [u32; 6] = [0x38600007, 0x44000022, 0x3c800090, 0xe8a40008, 0x48000000, 0x48000000];
    for (i, x) in code.iter().enumerate() { unsafe { core::ptr::with_exposed_provenance_mut::<u32>(page as usize + i * 4).write_volatile(*x) } }
    let mut s = HvState { version: 2, lpid: 1, ..Default::default() };
    let mut r = Regs::default();
    s.lpcr = 0x0000_0000_0202_0000; s.hfscr = 0x7; r.msr = 0x8000_0000_0000_1001;
    for _ in 0..3 {
        s.hdec_expiry = ppc64_arch::cpu::timebase() + m.timebase_hz / 10;
        let e = pseries::nested::enter(&mut s, &mut r);
        _ = writeln!(c, "exit {e:x?} nip {:#x} msr {:#x} r3 {:#x} hdar {:#x} hdsisr {:#x} asdr {:#x}", r.nip, r.msr, r.gpr[3], s.hdar, s.hdsisr, s.asdr);
        if e == Ok(0xe00) { r.nip += 4 }
    }
    defmt::println!("stat {=str} {=u64}", "x", 1);
    log::flush();
    pseries::rtas::power_off()
}
