//! Runs a guest's processor on this CPU, and sleeps for it.
//!
//! The decrementer is one register for both of us: in the guest it counts for the guest, and an exit leaves it running. So it is read back at
//! each exit as the time at which it will expire, and written again only if somebody changed that time or borrowed the register for a sleep. An
//! expired decrementer stays negative and pending, and the guest takes its interrupt by itself when it enables it.

use super::{call, nested, number, xics};
use alloc::boxed::Box;
use hv_core::guest::{Exit, Vcpu, World};
use hv_core::mmu::{Access, StorageFault};
use ppc64_arch::addr::{EffAddr, GuestReal};
use ppc64_arch::cpu;
use ppc64_arch::pvr::Cpu;
use ppc64_arch::spr::{HFSCR, LPCR, live};
use ppc64_arch::trap::{Hdsisr, Msr, Srr1, vector};
use tock_registers::fields::FieldValue;
use tock_registers::interfaces::{Readable, Writeable};

/// Facilities that a guest may use. msgsndp is left out: it would reach processors that share our core, and nobody needs it.
const FACILITIES: u64 = HFSCR::FP.val(1).value
    | HFSCR::VECVSX.val(1).value
    | HFSCR::DSCR.val(1).value
    | HFSCR::PM.val(1).value
    | HFSCR::BHRB.val(1).value
    | HFSCR::EBB.val(1).value
    | HFSCR::TAR.val(1).value;

/// What every radix guest's LPCR has, next to the interrupt mode that the guest chose. The L0 takes only a part from us and
/// forces the rest to the same.
const RADIX_GUEST: u64 = LPCR::VPM.val(1).value
    | LPCR::UPRT.val(1).value
    | LPCR::HR.val(1).value
    | LPCR::GTSE.val(1).value
    | LPCR::HVICE.val(1).value
    | LPCR::HDICE.val(1).value;

/// A guest's world under nested API v1.
pub struct Nested {
    /// The CPU's facilities, as HFSCR bits.
    facilities: u64,
    /// LPCR bits of every guest here.
    lpcr: u64,
    /// The expiry that the decrementer register counts to, if it is known to.
    loaded: Option<u64>,
    /// The largest value that the decrementer counts down from.
    longest: u64,
    /// What an exit leaves in the CPU, if that must not stay there.
    kept: Option<Kept>,
}

/// The extended state of a vCPU that takes turns with another.
struct Kept {
    state: Box<cpu::Extended>,
    v31: bool,
}

impl Nested {
    /// A world on a CPU of design `cpu` whose decrementer has this many bits.
    #[must_use]
    pub fn new(cpu: Cpu, decrementer_bits: u32) -> Self {
        let bits = decrementer_bits.clamp(32, 63);
        let large = if bits > 32 { field(LPCR::LD::SET) } else { 0 };
        let prefix = if cpu.is_v31() { field(HFSCR::PREFIX::SET) } else { 0 };
        Self {
            facilities: FACILITIES | prefix,
            lpcr: RADIX_GUEST | large,
            loaded: None,
            longest: (1 << (bits - 1)) - 1,
            kept: None,
        }
    }

    /// A world that leaves nothing of its guest in the CPU: another vCPU may run there before this one does again.
    #[must_use]
    pub fn taking_turns(cpu: Cpu, decrementer_bits: u32) -> Self {
        let kept = Kept { state: Box::default(), v31: cpu.is_v31() };
        Self { kept: Some(kept), ..Self::new(cpu, decrementer_bits) }
    }

    /// Clears what a guest before this one may have left in registers that entering does not load, as far as they decide how a new
    /// kernel's first instructions run.
    pub fn renew(&mut self) {
        live::AMR.set(0);
        live::IAMR.set(0);
        live::DSCR.set(0);
        live::FSCR.set(0);
        live::TAR.set(0);
        live::VRSAVE.set(0);
        self.loaded = None;
    }

    /// Writes what the CPU has to hold before the guest runs.
    fn prepare(&mut self, vcpu: &mut Vcpu, deadline: u64) {
        // The guest must never run as a hypervisor, and always take machine checks; causes are no part of an MSR.
        let msr = Srr1::from_bits_retain(vcpu.regs.msr).msr();
        vcpu.regs.msr = (msr.difference(Msr::HV) | Msr::ME).bits();
        vcpu.hv.lpcr |= self.lpcr;
        vcpu.hv.hfscr = self.facilities;
        vcpu.hv.hdec_expiry = deadline;
        if core::mem::take(&mut vcpu.load_dar) {
            live::DAR.set(vcpu.regs.dar);
            live::DSISR.set(vcpu.regs.dsisr);
        }
        if self.loaded != Some(vcpu.dec_expiry) {
            self.count_to(vcpu.dec_expiry);
        }
    }

    /// Has the decrementer expire at `expiry`, or a moment ago if that is past.
    fn count_to(&mut self, expiry: u64) {
        let left = expiry.wrapping_sub(cpu::timebase()).cast_signed();
        let longest = self.longest.cast_signed();
        live::DEC.set(left.clamp(-longest, longest).cast_unsigned());
        self.loaded = Some(expiry);
    }

    /// When the decrementer expires, or has.
    fn expiry(&mut self) -> u64 {
        let value = live::DEC.get();
        // A small decrementer reads as 32 bits without a sign.
        let left = if self.longest >> 31 == 0 { i64::from(low_word(value).cast_signed()) } else { value.cast_signed() };
        let expiry = cpu::timebase().wrapping_add_signed(left);
        self.loaded = Some(expiry);
        expiry
    }
}

impl World for Nested {
    fn enter(&mut self, vcpu: &mut Vcpu, deadline: u64) -> Exit {
        if let Some(kept) = &self.kept {
            self.loaded = None;
            // SAFETY: 1. the host below gives us every facility of the list; 2. whoever ran here before was saved when it left; 3. we run with
            // translation off and interrupts disabled.
            unsafe { kept.state.load(kept.v31) };
        }
        self.prepare(vcpu, deadline);
        let left = nested::enter(&mut vcpu.hv, &mut vcpu.regs);
        vcpu.dec_expiry = self.expiry();
        if let Some(kept) = &mut self.kept {
            // SAFETY: 1. as above.
            unsafe { kept.state.save(kept.v31) };
        }
        match left {
            Ok(vector) => {
                vcpu.regs.trap = vector;
                decode(vcpu, vector)
            }
            Err(code) => Exit::Failed(code),
        }
    }

    fn idle(&mut self, vcpu: &mut Vcpu, deadline: Option<u64>) {
        crate::log::flush();
        crate::panic::check_stacks();
        let wake = deadline.map_or(vcpu.dec_expiry, |deadline| deadline.min(vcpu.dec_expiry));
        if cpu::timebase() < wake {
            self.count_to(wake);
            // SAFETY: 1. waits with interrupts on, whose vectors return with them off and change no register;
            // 2. no memory is involved.
            unsafe { call(number::H_CEDE, &[]) };
            live::disable_interrupts();
            self.loaded = None;
        }
        xics::acknowledge();
    }

    fn relax(&mut self) {
        cpu::very_low_priority();
        cpu::medium_priority();
    }
}

/// What an exit's vector means.
fn decode(vcpu: &Vcpu, vector: u64) -> Exit {
    match vector {
        vector::HCALL => Exit::Hcall,
        vector::HDSI => Exit::Storage(data_fault(vcpu)),
        vector::HISI => Exit::Storage(fetch_fault(vcpu)),
        vector::HDEC => {
            crate::log::drain_if_filling();
            crate::panic::check_stacks();
            Exit::Hdec
        }
        vector::EXTERNAL | vector::HVIRT => {
            xics::acknowledge();
            Exit::External
        }
        // The L0 returns no instruction here; 0 is none.
        vector::HEAI => Exit::Emulation(Some(low_word(vcpu.hv.heir)).filter(|&instruction| instruction != 0)),
        vector::HFU => Exit::Facility(vcpu.hv.hfscr.to_be_bytes()[0]),
        vector::SYSTEM_RESET => Exit::SystemReset,
        vector::MACHINE_CHECK => Exit::MachineCheck(vcpu.regs.msr & Srr1::CAUSE_MASK),
        other => Exit::Unexpected(u16::try_from(other).unwrap_or(u16::MAX)),
    }
}

/// A load's or store's storage interrupt.
fn data_fault(vcpu: &Vcpu) -> StorageFault {
    let cause = Hdsisr::from_dword(vcpu.hv.hdsisr);
    StorageFault {
        access: if cause.contains(Hdsisr::STORE) { Access::Write } else { Access::Read },
        ea: EffAddr::new(vcpu.hv.hdar),
        claim: GuestReal::new(vcpu.hv.asdr),
        table_walk: cause.contains(Hdsisr::TABLE_WALK),
        cause: Some(cause.bits()),
    }
}

/// A fetch's. The L0 loses the cause bits, and leaves HDSISR and HDAR as an earlier exit set them.
fn fetch_fault(vcpu: &Vcpu) -> StorageFault {
    StorageFault {
        access: Access::Fetch,
        ea: EffAddr::new(vcpu.regs.nip),
        claim: GuestReal::new(vcpu.hv.asdr),
        table_walk: false,
        cause: None,
    }
}

/// A field's bits.
const fn field<R: tock_registers::RegisterLongName>(value: FieldValue<u64, R>) -> u64 {
    value.value
}

/// The low half of a doubleword.
const fn low_word(value: u64) -> u32 {
    let [.., a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}
