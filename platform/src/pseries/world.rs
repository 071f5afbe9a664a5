//! Runs a guest's processor on this CPU, and sleeps for it.

use super::edge::Edge;
use super::{call, mediated, nested, number, xics};
use crate::below::GuestWorld;
use crate::decrementer::Decrementer;
use crate::exits;
use crate::modes::{facilities, field, radix_guest};
use crate::owner::Owner;
use crate::record;
use hv_core::guest::host::Short;
use hv_core::guest::{Exit, Vcpu, World};
use hv_core::mmu::Flush;
use ppc64_arch::addr::GuestReal;
use ppc64_arch::cpu;
use ppc64_arch::errata::Errata;
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
    /// This CPU's number.
    number: usize,
    errata: Errata,
    edge: Edge,
    /// The next stay is to end when the guest enables interrupts.
    awaits_interrupts_on: bool,
}

impl Nested {
    /// A world on a CPU of design `cpu` whose decrementer has this many bits.
    #[must_use]
    pub fn new(cpu: Cpu, decrementer_bits: u32, errata: Errata) -> Self {
        let decrementer = Decrementer::new(decrementer_bits, errata);
        // HVICE: the L0 promotes our external interrupts to hypervisor virtualization ones.
        let lpcr = radix_guest(decrementer.is_large()) | field(LPCR::HVICE::SET);
        let number = crate::memory::cpu();
        let owner = Owner::new(number, cpu.is_v31());
        Self {
            facilities: facilities(cpu),
            lpcr,
            decrementer,
            owner,
            number,
            errata,
            edge: Edge::default(),
            awaits_interrupts_on: false,
        }
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
        // SAFETY: 1. the L0 lets us use what a guest may use; 2. translation is off, and interrupts are disabled; 3. all else is handed over at each entry, and the partition's
        // translations are dropped here.
        if unsafe { self.owner.take(vcpu) }.came {
            nested::flush(Flush::Partition { lpid: vcpu.hv.lpid });
        }
        if core::mem::take(&mut vcpu.load_dar) {
            live::DAR.set(vcpu.regs.dar);
            live::DSISR.set(vcpu.regs.dsisr);
        }
        self.decrementer.ensure(vcpu.dec_expiry);
    }
}

impl GuestWorld for Nested {
    fn renew(&mut self, _: u32) {
        // A new vCPU was nowhere yet, so its registers are loaded.
        self.decrementer.forget();
    }
}

impl World for Nested {
    fn await_interrupts_on(&mut self, vcpu: &mut Vcpu, close: impl FnOnce(GuestReal) -> bool) {
        let wanted = self.errata.external_not_mediated && mediated::can_be(vcpu);
        self.awaits_interrupts_on = wanted && close(mediated::PAGE);
    }

    /// All exits end the stay: the L0 has stored every register already.
    fn enter<S: Short>(&mut self, vcpu: &mut Vcpu, deadline: u64, _: &mut S) -> Exit {
        self.prepare(vcpu, deadline);
        if self.errata.hdec_on_edge {
            self.edge.give(vcpu);
        }
        record::enters(self.number, vcpu.hv.lpid, vcpu.id, vcpu.regs.nip);
        let armed = core::mem::take(&mut self.awaits_interrupts_on);
        if armed {
            mediated::arm(vcpu);
        }
        let left = nested::enter(&mut vcpu.hv, &mut vcpu.regs);
        vcpu.dec_expiry = self.decrementer.expiry();
        record::left(self.number, vcpu.regs.nip, cpu::timebase());
        // Also where the L0 has refused: the doorbell is taken back.
        let let_in = armed && mediated::disarm(vcpu, left.unwrap_or(0));
        match left {
            Ok(vector) => {
                vcpu.regs.trap = vector;
                if let_in { Exit::LetIn } else { decode(vcpu, vector) }
            }
            Err(code) => Exit::Failed(code),
        }
    }

    fn put_away(&mut self, vcpu: &mut Vcpu) {
        // SAFETY: 1. the L0 lets us use what a guest may use.
        unsafe { self.owner.put_away(vcpu) };
    }

    fn idle(&mut self, deadline: u64) {
        crate::log::flush_if_free();
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
