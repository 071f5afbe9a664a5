//! Runs a guest's processor on this CPU, and sleeps for it.

use super::{call, nested, number, xics};
use crate::below::GuestWorld;
use crate::decrementer::Decrementer;
use crate::exits;
use crate::modes::{facilities, field, radix_guest};
use crate::owner::{Key, Owner};
use hv_core::guest::host::Short;
use hv_core::guest::{Exit, Vcpu, World};
use ppc64_arch::cpu;
use ppc64_arch::pvr::Cpu;
use ppc64_arch::spr::{LPCR, live};
use ppc64_arch::trap::{Msr, Srr1};
use tock_registers::interfaces::Writeable;

/// A guest's world under nested API v1.
pub struct Nested {
    /// The CPU's facilities, as HFSCR bits.
    facilities: u64,
    /// LPCR bits of every guest here.
    lpcr: u64,
    decrementer: Decrementer,
    owner: Owner,
}

impl Nested {
    /// A world on a CPU of design `cpu` whose decrementer has this many bits.
    #[must_use]
    pub fn new(cpu: Cpu, decrementer_bits: u32) -> Self {
        let decrementer = Decrementer::new(decrementer_bits);
        // HVICE: the L0 promotes our external interrupts to hypervisor virtualization ones.
        let lpcr = radix_guest(decrementer.is_large()) | field(LPCR::HVICE::SET);
        Self { facilities: facilities(cpu), lpcr, decrementer, owner: Owner::new(cpu.is_v31(), false) }
    }

    /// Writes what the CPU has to hold before the guest runs.
    fn prepare(&mut self, vcpu: &mut Vcpu, deadline: u64) {
        // The guest must never run as a hypervisor, and always take machine checks; causes are no part of an MSR.
        let msr = Srr1::from_bits_retain(vcpu.regs.msr).msr();
        vcpu.regs.msr = (msr.difference(Msr::HV) | Msr::ME).bits();
        vcpu.hv.lpcr |= self.lpcr;
        // All of it is handed over at each entry.
        vcpu.modes_changed = false;
        vcpu.hv.hfscr = self.facilities;
        vcpu.hv.hdec_expiry = deadline;
        // SAFETY: 1. the L0 lets us use what a guest may use; 2. translation is off, and interrupts are disabled.
        unsafe { self.owner.take(Key { lpid: vcpu.hv.lpid, vcpu: vcpu.id }) };
        if core::mem::take(&mut vcpu.load_dar) {
            live::DAR.set(vcpu.regs.dar);
            live::DSISR.set(vcpu.regs.dsisr);
        }
        self.decrementer.ensure(vcpu.dec_expiry);
    }
}

impl GuestWorld for Nested {
    fn renew(&mut self, lpid: u32) {
        self.owner.forget(lpid);
        self.decrementer.forget();
    }
}

impl World for Nested {
    /// All exits end the stay: the L0 has stored every register already.
    fn enter<S: Short>(&mut self, vcpu: &mut Vcpu, deadline: u64, _: &mut S) -> Exit {
        self.prepare(vcpu, deadline);
        let left = nested::enter(&mut vcpu.hv, &mut vcpu.regs);
        vcpu.dec_expiry = self.decrementer.expiry();
        match left {
            Ok(vector) => {
                vcpu.regs.trap = vector;
                decode(vcpu, vector)
            }
            Err(code) => Exit::Failed(code),
        }
    }

    fn put_away(&mut self, _: &mut Vcpu) {}

    fn idle(&mut self, deadline: u64) {
        crate::log::flush();
        crate::panic::check_stacks();
        if cpu::timebase() < deadline {
            self.decrementer.count_to(deadline);
            // SAFETY: 1. waits with interrupts on, whose vectors return with them off and change no register;
            // 2. no memory is involved.
            unsafe { call(number::H_CEDE, &[]) };
            live::disable_interrupts();
            self.decrementer.forget();
        }
        xics::acknowledge();
    }

    fn relax(&mut self) {
        cpu::very_low_priority();
        cpu::medium_priority();
    }
}

/// What an exit's vector means, and what it asks of us at once.
fn decode(vcpu: &Vcpu, vector: u64) -> Exit {
    // The L0 loses a fetch's cause bits.
    let exit = exits::decode(vcpu, vector, None);
    match exit {
        Exit::Hdec => exits::upkeep(),
        Exit::External => _ = xics::acknowledge(),
        _ => {}
    }
    exit
}
