//! Runs a guest's processor on this CPU: the registers around the switch, and sleeping.
//!
//! | registers | where they are while the hypervisor runs |
//! | --- | --- |
//! | r0 to r31, CR, LR, CTR, XER, PPR, NIP, MSR | in the vCPU ([`super::switch`]) |
//! | SRR0, SRR1, SPRG0 to SPRG3 | in the vCPU after a stay; in the CPU on the short way. Firmware and reports of ours use them |
//! | LPCR, DAWRs, CIABR | in the vCPU, and loaded when they change: only the hypervisor writes them |
//! | DEC | in the CPU, known as the time at which it expires |
//! | all others | in the CPU: nothing of ours uses them. Stored when the vCPU is put away, loaded where it comes to ([`crate::owner`]) |

use super::hashed;
use super::machine_check;
use super::opal;
use super::own::{self, Aside};
use super::places;
use super::switch::{self, Left};
use super::translations;
use crate::below::GuestWorld;
use crate::decrementer::{Decrementer, low_word};
use crate::exits::{self, Keys};
use crate::modes::{self, facilities, field, hash_guest, radix_guest};
use crate::owner::Owner;
use crate::partitions::{self, Kind};
use crate::record;
use hv_core::guest::host::Short;
use hv_core::guest::{Exit, Vcpu, World};
use ppc64_arch::cpu;
use ppc64_arch::pvr::{Cpu, Pvr};
use ppc64_arch::spr::{LPCR, hypervisor, live};
use ppc64_arch::trap::{Msr, Srr1, vector};
use tock_registers::interfaces::{Readable, Writeable};

/// What ends a sleep: doorbells and decrementer; both exist once more with a hypervisor behind them.
const WAKES: u64 = field(LPCR::PECE.val(0x1f)) | field(LPCR::HVEE::SET);
/// The longest stay, in ticks: HDEC must never wrap.
pub const LONGEST_STAY: u64 = 0x7fff_ffff;

/// A guest's world in hypervisor state.
pub struct Bare {
    cpu: Cpu,
    /// The CPU's facilities, as HFSCR bits.
    facilities: u64,
    /// LPCR bits of every radix guest here, and LPCR where nobody's guest is: our own translation is like theirs.
    lpcr: u64,
    /// LPCR bits of every hash guest.
    hash_lpcr: u64,
    /// How the vCPU is translated that has this CPU.
    kind: Kind,
    /// Segments, LPIDR and LPCR in this CPU are those of that vCPU, which is a hash guest's ([`hashed`]).
    inside: bool,
    decrementer: Decrementer,
    owner: Owner,
    /// This CPU's number.
    number: usize,
    /// The guest's registers that our own translation is in place of.
    aside: Option<Aside>,
}

impl Bare {
    /// A world on a CPU of design `cpu` whose decrementer has this many bits.
    #[must_use]
    pub fn new(cpu: Cpu, decrementer_bits: u32) -> Self {
        let decrementer = Decrementer::new(decrementer_bits, translations::errata());
        let lpcr = radix_guest(decrementer.is_large()) | WAKES;
        let hash_lpcr = hash_guest(decrementer.is_large()) | WAKES;
        let number = crate::memory::cpu();
        let owner = Owner::new(number, cpu.is_v31());
        let facilities = facilities(cpu);
        let (kind, inside, aside) = (Kind::None, false, own::on());
        Self { cpu, facilities, lpcr, hash_lpcr, kind, inside, decrementer, owner, number, aside }
    }

    /// Loads what the CPU has to hold before the guest runs.
    fn prepare(&mut self, vcpu: &mut Vcpu, deadline: u64) {
        // The guest must never run as a hypervisor, and always take machine checks; causes are no part of an MSR.
        let msr = Srr1::from_bits_retain(vcpu.regs.msr).msr();
        vcpu.regs.msr = (msr.difference(Msr::HV) | Msr::ME).bits();
        self.take_cpu(vcpu);
        load_storage_registers(vcpu);
        let ours = if self.kind == Kind::Hash { self.hash_lpcr } else { self.lpcr };
        vcpu.set_lpcr_bits(ours | modes::TRANSLATION, ours);
        if vcpu.modes_changed {
            load_modes(vcpu);
        }
        if self.kind == Kind::Hash && !self.inside {
            // SAFETY: 1. translation is off; 2. the vCPU is entered next; 3. LPCR was just made one for a hash guest.
            unsafe { hashed::arrive(vcpu) }
            self.inside = true;
        }
        self.decrementer.ensure(vcpu.dec_expiry);
        // From here to the end of the stay SRR0, SRR1 and the SPRGs are the guest's: an interrupt of ours that would use them has to wait.
        live::disable_interrupts();
        load_software_registers(vcpu);
        if vcpu.lpcr().is_set(LPCR::MER) && translations::errata().external_not_mediated {
            crate::cpus::kick(crate::memory::cpu());
        }
        let stay = deadline.saturating_sub(cpu::timebase()).min(LONGEST_STAY);
        // SAFETY: 1. it only ends the stay.
        unsafe { hypervisor::set_hdec(stay) }
    }

    /// Loads what stays the same for as long as one vCPU has this CPU.
    fn take_cpu(&mut self, vcpu: &mut Vcpu) {
        // SAFETY: 1. the hypervisor may use everything, and runs with translation off and interrupts disabled; 2. what else a guest needs is loaded here.
        let taken = unsafe { self.owner.take(vcpu) };
        if taken.anew {
            self.exchange_kind(partitions::kind(vcpu.hv.lpid));
            vcpu.modes_changed = true;
            live::PIDR.set(vcpu.hv.pidr);
            places::take(vcpu.hv.lpid);
            // SAFETY: 1. the partition's tables translate to its own memory only; 2. facilities are a guest's own registers.
            unsafe {
                hypervisor::set_lpidr(u64::from(vcpu.hv.lpid));
                hypervisor::set_hfscr(self.facilities);
            }
            cpu::isync();
            match self.kind {
                Kind::Hash if taken.came => translations::drop_hashed_here(vcpu.hv.lpid, self.cpu),
                _ if taken.came => translations::drop_here(vcpu.hv.lpid, self.cpu),
                _ => {}
            }
        }
    }

    /// The CPU goes to a vCPU of this kind. Whoever had it before was put away, or is gone.
    fn exchange_kind(&mut self, kind: Kind) {
        self.kind = kind;
        if core::mem::take(&mut self.inside) {
            // SAFETY: 1. it is gone; 2. translation was off while it was here.
            unsafe { hashed::forget(self.lpcr) }
        }
    }
}

/// Loads the registers that only the hypervisor writes.
pub fn load_modes(vcpu: &mut Vcpu) {
    vcpu.modes_changed = false;
    let hv = &vcpu.hv;
    // SAFETY: 1. the world added to the LPCR what every guest has to have, and calls change only AIL, ILE and MER of it; 2. watchpoints and breakpoints that would
    // watch the hypervisor are refused where they are set.
    unsafe {
        hypervisor::set_lpcr(hv.lpcr);
        hypervisor::set_dawr0(hv.dawr0);
        hypervisor::set_dawrx0(hv.dawrx0);
        hypervisor::set_ciabr(hv.ciabr);
        if Pvr::new(low_word(live::PVR.get())).cpu().is_some_and(Cpu::is_v31) {
            hypervisor::set_dawr1(hv.dawr1);
            hypervisor::set_dawrx1(hv.dawrx1);
        }
    }
    cpu::isync();
}

/// Loads what an interrupt that was delivered on the short way says: SRR0 and SRR1 are the guest's there.
pub fn load_interrupt(vcpu: &mut Vcpu) {
    load_storage_registers(vcpu);
    // SAFETY: 1. the switch returns to the guest by HSRR0 and HSRR1.
    unsafe {
        hypervisor::set_srr0(vcpu.hv.srr0);
        hypervisor::set_srr1(vcpu.hv.srr1);
    }
}

/// Loads DAR and DSISR if an interrupt that was delivered has set them.
fn load_storage_registers(vcpu: &mut Vcpu) {
    if core::mem::take(&mut vcpu.load_dar) {
        live::DAR.set(vcpu.regs.dar);
        live::DSISR.set(vcpu.regs.dsisr);
    }
}

/// Registers that software uses as it likes, and those of an interrupt that the guest is about to handle.
fn load_software_registers(vcpu: &Vcpu) {
    let [a, b, c, d] = vcpu.hv.sprg;
    live::SPRG0.set(a);
    live::SPRG1.set(b);
    live::SPRG2.set(c);
    live::SPRG3.set(d);
    // SAFETY: 1. the switch returns to the guest by HSRR0 and HSRR1.
    unsafe {
        hypervisor::set_srr0(vcpu.hv.srr0);
        hypervisor::set_srr1(vcpu.hv.srr1);
    }
}

fn store_software_registers(vcpu: &mut Vcpu) {
    vcpu.hv.sprg = [live::SPRG0.get(), live::SPRG1.get(), live::SPRG2.get(), live::SPRG3.get()];
    vcpu.hv.srr0 = hypervisor::srr0();
    vcpu.hv.srr1 = hypervisor::srr1();
}

/// What the interrupt left in registers of the hypervisor's.
fn store_cause(vcpu: &mut Vcpu, vector: u64) {
    match vector {
        vector::HDSI | vector::HISI => {
            vcpu.hv.hdar = hypervisor::hdar();
            vcpu.hv.hdsisr = hypervisor::hdsisr();
            vcpu.hv.asdr = hypervisor::asdr();
        }
        vector::HEAI => vcpu.hv.heir = hypervisor::heir(),
        vector::HFU => vcpu.hv.hfscr = hypervisor::hfscr(),
        _ => {}
    }
}

impl GuestWorld for Bare {
    fn renew(&mut self, _: u32) {
        // A new vCPU was nowhere yet, so its registers are loaded.
        self.decrementer.forget();
    }
}

impl World for Bare {
    fn enter<S: Short>(&mut self, vcpu: &mut Vcpu, deadline: u64, short: &mut S) -> Exit {
        if switch::take_reset(vcpu) {
            return Exit::SystemReset;
        }
        own::off(self.aside.take());
        self.prepare(vcpu, deadline);
        record::enters(self.number, vcpu.hv.lpid, vcpu.id, vcpu.regs.nip);
        // SAFETY: 1. `prepare` loaded the guest's LPCR, LPIDR, HFSCR and HDEC, and mended its MSR; 2. the tables are the mmu half's to keep right.
        let left = unsafe { switch::run(vcpu, self.kind, short) };
        store_software_registers(vcpu);
        live::become_recoverable();
        vcpu.dec_expiry = self.decrementer.expiry();
        record::left(self.number, vcpu.regs.nip, cpu::timebase());
        if self.kind != Kind::Hash {
            self.aside = own::on();
        }
        match left {
            Left::Begun => Exit::Begun,
            Left::Vector(vector) => self.decode(vcpu, vector),
        }
    }

    fn put_away(&mut self, vcpu: &mut Vcpu) {
        // SAFETY: 1. the hypervisor may use everything.
        if unsafe { self.owner.put_away(vcpu) } {
            if core::mem::take(&mut self.inside) {
                // SAFETY: 1. what is here is this vCPU's; 2. translation was off while it was here.
                unsafe { hashed::leave(vcpu, self.lpcr) }
                self.aside = own::on();
            }
            vcpu.hv.pidr = live::PIDR.get();
            // With our own translation on, these are ours in the CPU.
            if let Some(aside) = &self.aside {
                vcpu.hv.pidr = aside.process;
                [vcpu.extended.facilities.amr, vcpu.extended.facilities.iamr] = aside.keys;
            }
        }
    }

    fn idle(&mut self, deadline: u64) {
        crate::log::flush_if_free();
        crate::panic::check_stacks();
        opal::poll();
        if cpu::timebase() < deadline {
            self.decrementer.count_to(deadline);
            // SAFETY: 1. hypervisor state; 2. the decrementer ends it at `deadline` at the latest; 3. the hypervisor's own decrementer, which has expired or soon will, would end it at once.
            unsafe {
                hypervisor::set_hdec(LONGEST_STAY);
                cpu::stop();
                // A kick has done what it is for.
                cpu::hush();
            }
            self.decrementer.forget();
        }
    }

    fn relax(&mut self) {
        cpu::very_low_priority();
        cpu::medium_priority();
    }
}

impl Bare {
    /// What an exit's vector means, and what it asks of us at once.
    fn decode(&mut self, vcpu: &mut Vcpu, vector: u64) -> Exit {
        store_cause(vcpu, vector);
        vcpu.regs.trap = vector;
        match vector {
            vector::HMI => {
                maintain();
                return Exit::External;
            }
            // Its cause stands in it.
            // SAFETY: 1. facilities are a guest's own registers.
            vector::HFU => unsafe { hypervisor::set_hfscr(self.facilities) },
            vector::MACHINE_CHECK => return machine_check::exit(vcpu, self.cpu, self.kind),
            vector::HDEC => exits::upkeep(),
            _ => {}
        }
        match (self.kind, vector) {
            (Kind::Hash, vector::HDSI) => {
                let cause = low_word(vcpu.hv.hdsisr);
                Exit::HashStorage(exits::hash_data_fault(vcpu, cause, vcpu.hv.hdar, vcpu.hv.asdr, Keys::live()))
            }
            (Kind::Hash, vector::HISI) => {
                Exit::HashStorage(exits::hash_fetch_fault(vcpu, vcpu.regs.nip, vcpu.hv.asdr, Keys::live()))
            }
            _ => exits::decode(vcpu, vector, Some(low_word(hypervisor::hsrr1() & Srr1::CAUSE_MASK))),
        }
    }
}

/// A hypervisor maintenance interrupt: the firmware knows what to do, and the guest goes on.
fn maintain() {
    let cause = hypervisor::hmer();
    let recovered = opal::handle_maintenance();
    defmt::warn!("hypervisor maintenance interrupt: HMER {=u64:#x}, recovered: {=bool}", cause, recovered);
}
