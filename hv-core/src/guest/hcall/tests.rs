use super::*;
use crate::guest::host::Upkeep;
use crate::guest::machine::Settings;
use crate::guest::processors::Processor;
use crate::guest::regs::Regs;
use crate::guest::testing::{FakeHost, FakeTable, Ram, machine, machine_with, set_call, settings, vcpu};
use crate::guest::vty;
use crate::hash::{Refusal, Unresized};
use crate::papr::hcall::*;
use ppc64_arch::spr::LPCR;
use ppc64_arch::trap::Msr;
use proptest::prelude::*;

/// A guest that makes one call after another.
struct Guest {
    vcpu: Vcpu,
    machine: Machine,
    host: FakeHost,
    ram: Ram,
    counters: Counters,
}

const RAM: usize = 0x4_0000;

impl Guest {
    fn new() -> Self {
        Self {
            vcpu: vcpu(),
            machine: machine(),
            host: FakeHost::default(),
            ram: Ram::new(RAM),
            counters: Counters::default(),
        }
    }

    /// Makes a call; what comes of it, and what happens next.
    fn flow(&mut self, number: u64, args: &[u64]) -> (Rc, Flow) {
        set_call(&mut self.vcpu, number, args);
        let flow = handle(&mut Call {
            vcpu: &mut self.vcpu,
            machine: &self.machine,
            host: &self.host,
            memory: &self.ram,
            counters: &mut self.counters,
        });
        (Rc::from_register(self.vcpu.regs.gpr[3]), flow)
    }

    fn call(&mut self, number: u64, args: &[u64]) -> Rc {
        self.flow(number, args).0
    }

    fn result(&self, n: usize) -> u64 {
        self.vcpu.regs.gpr[4 + n]
    }
}

#[test]
fn a_call_that_is_not_offered_is_no_function() {
    let mut guest = Guest::new();
    for number in [0, 1, 0x1c, 0x138, 0x398, 0xf080, 0xf800, u64::MAX] {
        assert_eq!(guest.call(number, &[]), Rc::FUNCTION, "{number:#x}");
    }
    assert_eq!(guest.counters.unknown_hcalls, 8);
}

#[test]
fn a_program_in_problem_state_may_call_nothing() {
    let mut guest = Guest::new();
    guest.vcpu.regs.msr |= Msr::PR.bits();
    for number in [H_CEDE, H_PUT_TERM_CHAR, H_RTAS, 0xffff] {
        assert_eq!(guest.flow(number, &[]), (Rc::PRIVILEGE, Flow::Resume));
    }
}

#[test]
fn characters_are_packed_from_the_left() {
    let mut guest = Guest::new();
    let text = u64::from_be_bytes(*b"hello, w");
    let more = u64::from_be_bytes(*b"orld!...");
    assert_eq!(guest.call(H_PUT_TERM_CHAR, &[0, 13, text, more]), Rc::SUCCESS);
    assert_eq!(&*guest.host.written.borrow(), b"hello, world!");
    guest.host.type_in(b"0123456789abcdef+");
    assert_eq!(guest.call(H_GET_TERM_CHAR, &[u64::from(vty::UNIT)]), Rc::SUCCESS);
    let expected = [16, u64::from_be_bytes(*b"01234567"), u64::from_be_bytes(*b"89abcdef")];
    assert_eq!([0, 1, 2].map(|n| guest.result(n)), expected);
    assert_eq!(guest.call(H_GET_TERM_CHAR, &[0]), Rc::SUCCESS);
    assert_eq!((guest.result(0), guest.result(1)), (1, u64::from(b'+') << 56));
    assert_eq!(guest.call(H_GET_TERM_CHAR, &[0]), Rc::SUCCESS);
    assert_eq!(guest.result(0), 0);
}

#[test]
fn a_terminal_call_is_checked() {
    let mut guest = Guest::new();
    for args in [[1, 1], [0, 17], [0, u64::MAX], [u64::MAX, 1]] {
        assert_eq!(guest.call(H_PUT_TERM_CHAR, &args), Rc::PARAMETER);
    }
    assert_eq!(guest.call(H_GET_TERM_CHAR, &[1]), Rc::PARAMETER);
    guest.host.room.set(0);
    assert_eq!(guest.call(H_PUT_TERM_CHAR, &[0, 1]), Rc::SUCCESS);
    assert_eq!(guest.call(H_PUT_TERM_CHAR, &[0, 1]), Rc::BUSY);
}

#[test]
fn modes_are_set_with_the_values_that_linux_uses() {
    let mut guest = Guest::new();
    assert_eq!(guest.call(H_SET_MODE, &[1, mode::ENDIAN, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.call(H_SET_MODE, &[3, mode::ADDR_TRANS, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.vcpu.hv.lpcr, 1 << 25 | 3 << 23);
    assert_eq!(guest.call(H_SET_MODE, &[0, mode::ENDIAN, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.call(H_SET_MODE, &[0, mode::ADDR_TRANS, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.vcpu.hv.lpcr, 0);
    assert_eq!(guest.call(H_SET_MODE, &[0, mode::DAWR0, 0x1000, 0x1b]), Rc::SUCCESS);
    assert_eq!(guest.call(H_SET_MODE, &[0, mode::DAWR1, 0x2000, 0x1a]), Rc::SUCCESS);
    assert_eq!(guest.call(H_SET_MODE, &[0, mode::CIABR, 0x3002, 0]), Rc::SUCCESS);
    let hv = &guest.vcpu.hv;
    assert_eq!((hv.dawr0, hv.dawrx0, hv.dawr1, hv.dawrx1, hv.ciabr), (0x1000, 0x1b, 0x2000, 0x1a, 0x3002));
}

#[test]
fn each_bad_mode_argument_is_named() {
    let mut guest = Guest::new();
    let before = guest.vcpu.hv.clone();
    for (args, rc) in [
        ([2, mode::ENDIAN, 0, 0], Rc::UNSUPPORTED_FLAG),
        ([1, mode::ENDIAN, 1, 0], Rc::P3),
        ([1, mode::ENDIAN, 0, 1], Rc::P4),
        ([1, mode::ADDR_TRANS, 0, 0], Rc::UNSUPPORTED_FLAG),
        ([2, mode::ADDR_TRANS, 0, 0], Rc::UNSUPPORTED_FLAG), // gone in Power ISA 3.1
        ([3, mode::ADDR_TRANS, 1, 0], Rc::P3),
        ([1, mode::DAWR0, 0, 0], Rc::UNSUPPORTED_FLAG),
        ([0, mode::DAWR0, 0, 4], Rc::P4),
        ([0, mode::DAWR1, 0, 7], Rc::P4),
        ([0, mode::CIABR, 3, 0], Rc::P3),
        ([0, mode::CIABR, 0, 1], Rc::P4),
        ([0, 0, 0, 0], Rc::P2),
        ([0, 6, 0, 0], Rc::P2),
        ([0, u64::MAX, 0, 0], Rc::P2),
    ] {
        assert_eq!(guest.call(H_SET_MODE, &args), rc, "{args:x?}");
    }
    assert_eq!(guest.vcpu.hv, before);
}

#[test]
fn a_platform_whose_vectors_cannot_move_says_so() {
    let mut guest = Guest::new();
    guest.machine.settings.relocatable_vectors = false;
    assert_eq!(guest.call(H_SET_MODE, &[3, mode::ADDR_TRANS, 0, 0]), Rc::P2);
    assert_eq!(guest.call(H_SET_MODE, &[0, mode::ADDR_TRANS, 0, 0]), Rc::SUCCESS);
    guest.machine.settings.isa_3_1 = false;
    assert_eq!(guest.call(H_SET_MODE, &[0, mode::DAWR1, 0, 0]), Rc::P2);
}

#[test]
fn a_radix_process_table_is_registered() {
    let mut guest = Guest::new();
    assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[0, 0, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.ram.process_table.get(), None);
    assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[0x1d, 0x1_0000, 0, 4]), Rc::SUCCESS);
    assert_eq!(guest.ram.process_table.get(), Some(1 << 63 | 0x1_0000 | 4));
    assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[0x10, 0, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.ram.process_table.get(), Some(0));
}

#[test]
fn each_bad_process_table_argument_is_named() {
    let mut guest = Guest::new();
    for (args, rc) in [
        ([0x20, 0, 0, 0], Rc::PARAMETER),
        ([0x18, 0, 0, 0], Rc::PARAMETER), // the hash form, which has no meaning here
        ([0x1e, 0, 0, 0], Rc::PARAMETER),
        ([0x1d, 0x800, 0, 0], Rc::P2),
        ([0x1d, RAM as u64, 0, 0], Rc::P2),
        ([0x1d, 0, 0, 7], Rc::P2), // longer than the memory
        ([0x1d, !0xfff, 0, 0], Rc::P2),
        ([0x1d, 0, 1, 0], Rc::P3),
        ([0x1d, 0, 0, 25], Rc::P4),
        ([0x1d, 0, 0, u64::MAX], Rc::P4),
    ] {
        assert_eq!(guest.call(H_REGISTER_PROC_TBL, &args), rc, "{args:x?}");
    }
    assert_eq!(guest.ram.process_table.get(), None);
}

#[test]
fn ceding_switches_interrupts_on_and_idles_unless_prodded() {
    let mut guest = Guest::new();
    assert_eq!(guest.flow(H_CEDE, &[]), (Rc::SUCCESS, Flow::Idle));
    assert!(guest.vcpu.interrupts_on());
    assert_eq!(guest.call(H_PROD, &[0]), Rc::SUCCESS);
    assert_eq!(guest.flow(H_CEDE, &[]), (Rc::SUCCESS, Flow::Resume));
    assert_eq!(guest.flow(H_CEDE, &[]), (Rc::SUCCESS, Flow::Idle));
    assert_eq!(guest.call(H_PROD, &[1]), Rc::PARAMETER);
}

#[test]
fn time_can_be_conferred_to_processors_that_exist() {
    let mut guest = Guest::new();
    guest.machine = machine_with(Settings { cpus: 2, ..settings() });
    assert_eq!(guest.machine.sched.next(0, &|_| {}), Some(0));
    assert_eq!(guest.flow(H_CONFER, &[0, 1]), (Rc::SUCCESS, Flow::Resume), "it has its time already");
    assert_eq!(guest.flow(H_CONFER, &[u64::MAX, 1]), (Rc::SUCCESS, Flow::Resume), "nobody waits");
    assert_eq!(guest.flow(H_CONFER, &[1, 1]), (Rc::SUCCESS, Flow::Resume), "it is stopped");
    assert!(guest.machine.start(1, 0x1000, 0, 0, &guest.host));
    assert_eq!(guest.flow(H_CONFER, &[u64::MAX, 1]), (Rc::SUCCESS, Flow::Confer(None)));
    assert_eq!(guest.flow(H_CONFER, &[1, 1]), (Rc::SUCCESS, Flow::Confer(Some(1))));
    assert_eq!(guest.call(H_CONFER, &[2, 1]), Rc::PARAMETER);
}

#[test]
fn an_interrupt_goes_through_the_presentation_calls() {
    let mut guest = Guest::new();
    assert_eq!(guest.call(H_CPPR, &[0xff]), Rc::SUCCESS);
    assert_eq!(guest.call(H_IPI, &[0, 4]), Rc::SUCCESS);
    assert_eq!(guest.call(H_IPOLL, &[0]), Rc::SUCCESS);
    assert_eq!((guest.result(0), guest.result(1)), (0xff00_0002, 4));
    guest.host.now.set(77);
    assert_eq!(guest.call(H_XIRR_X, &[0]), Rc::SUCCESS);
    assert_eq!((guest.result(0), guest.result(1)), (0xff00_0002, 77));
    assert_eq!(guest.call(H_IPI, &[0, 0xff]), Rc::SUCCESS);
    assert_eq!(guest.call(H_EOI, &[0xff00_0002]), Rc::SUCCESS);
    assert_eq!(guest.call(H_XIRR, &[0]), Rc::SUCCESS);
    assert_eq!(guest.result(0), 0xff00_0000);
    for number in [H_IPI, H_IPOLL] {
        assert_eq!(guest.call(number, &[1]), Rc::PARAMETER);
        assert_eq!(guest.call(number, &[1 << 32]), Rc::PARAMETER);
    }
}

#[test]
fn characteristics_and_random_bits_are_the_hosts() {
    let mut guest = Guest::new();
    assert_eq!(guest.call(H_GET_CPU_CHARACTERISTICS, &[]), Rc::SUCCESS);
    assert_eq!((guest.result(0), guest.result(1)), (0x11, 0x22));
    assert_eq!(guest.call(H_RANDOM, &[]), Rc::SUCCESS);
    assert_eq!(guest.result(0), 0x0123_4567_89ab_cdef);
    guest.host.characteristics.set(None);
    guest.host.random.set(None);
    assert_eq!(guest.call(H_GET_CPU_CHARACTERISTICS, &[]), Rc::FUNCTION);
    assert_eq!(guest.call(H_RANDOM, &[]), Rc::HARDWARE);
}

#[test]
fn there_is_no_dabr() {
    let mut guest = Guest::new();
    assert_eq!(guest.call(H_SET_DABR, &[5]), Rc::HARDWARE);
    assert_eq!(guest.call(H_SET_XDABR, &[5, 3]), Rc::HARDWARE);
    assert_eq!(guest.call(H_SET_SPRG0, &[0x55]), Rc::SUCCESS);
    assert_eq!(guest.vcpu.hv.sprg[0], 0x55);
}

#[test]
fn pages_are_copied_and_zeroed() {
    let mut guest = Guest::new();
    guest.ram.put(0x1ff8, &0x1122_3344_5566_7788_u64.to_be_bytes());
    assert_eq!(guest.call(H_PAGE_INIT, &[page_init::COPY, 0x3000, 0x1000]), Rc::SUCCESS);
    assert_eq!(guest.ram.be64(0x3ff8), 0x1122_3344_5566_7788);
    assert_eq!(guest.call(H_PAGE_INIT, &[page_init::ZERO, 0x1000, 0]), Rc::SUCCESS);
    assert_eq!((guest.ram.be64(0x1ff8), guest.ram.be64(0x3ff8)), (0, 0x1122_3344_5566_7788));
    for args in [[1, 0x1000, 0], [page_init::ZERO, 0x1800, 0], [page_init::ZERO, RAM as u64, 0]] {
        assert_eq!(guest.call(H_PAGE_INIT, &args), Rc::PARAMETER);
    }
    assert_eq!(guest.call(H_PAGE_INIT, &[page_init::COPY, 0x1000, RAM as u64]), Rc::PARAMETER);
}

#[test]
fn logical_loads_and_stores_are_big_endian_and_aligned() {
    let mut guest = Guest::new();
    assert_eq!(guest.call(H_LOGICAL_CI_STORE, &[4, 0x100, 0xdead_beef_1234_5678]), Rc::SUCCESS);
    assert_eq!(guest.ram.be32(0x100), 0x1234_5678);
    assert_eq!(guest.call(H_LOGICAL_CACHE_LOAD, &[2, 0x102]), Rc::SUCCESS);
    assert_eq!(guest.result(0), 0x5678);
    for args in [[3, 0x100], [0, 0x100], [16, 0x100], [8, 0x104], [1, RAM as u64]] {
        assert_eq!(guest.call(H_LOGICAL_CI_LOAD, &args), Rc::PARAMETER);
    }
    assert_eq!(guest.call(H_LOGICAL_ICBI, &[0x105]), Rc::SUCCESS);
    assert_eq!(guest.call(H_LOGICAL_DCBF, &[u64::MAX]), Rc::PARAMETER);
}

#[test]
fn overlapping_ranges_are_moved_whole() {
    for (to, from) in [(0x1008, 0x1000), (0x1000, 0x1008)] {
        let mut guest = Guest::new();
        let bytes: std::vec::Vec<u8> = (0..2000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        guest.ram.put(from, &bytes);
        assert_eq!(guest.call(H_LOGICAL_MEMOP, &[to, from, 3, 250, 0]), Rc::SUCCESS);
        for (at, byte) in (to..).zip(&bytes) {
            assert_eq!(guest.ram.byte(at), *byte, "{at:#x}");
        }
    }
}

#[test]
fn a_memory_operation_is_bounded() {
    let mut guest = Guest::new();
    assert_eq!(guest.call(H_LOGICAL_MEMOP, &[0x100, 0x200, 2, 1, 1]), Rc::SUCCESS);
    assert_eq!(guest.ram.be32(0x100), u32::MAX);
    for args in [
        [0, 0x200, 4, 1, 0],
        [1, 0x200, 1, 1, 0],
        [0, 0x200, 0, 1, 2],
        [0, 0, 0, 1 << 21, 0],
        [0, 0, 3, u64::MAX, 0],
        [RAM as u64, 0, 0, 1, 0],
    ] {
        assert_eq!(guest.call(H_LOGICAL_MEMOP, &args), Rc::PARAMETER, "{args:x?}");
    }
}

#[test]
fn a_system_reset_reaches_the_caller_itself() {
    let mut guest = Guest::new();
    guest.vcpu.regs.nip = 0x5000;
    assert_eq!(guest.call(H_SIGNAL_SYS_RESET, &[u64::MAX - 1]), Rc::SUCCESS);
    assert_eq!(guest.vcpu.regs.nip, 0x5000);
    assert_eq!(guest.call(H_SIGNAL_SYS_RESET, &[0]), Rc::SUCCESS);
    assert_eq!((guest.vcpu.regs.nip, guest.vcpu.hv.srr0), (0x100, 0x5000));
    assert_eq!(guest.call(H_SIGNAL_SYS_RESET, &[1]), Rc::PARAMETER);
}

#[test]
fn only_the_callers_own_areas_are_registered() {
    let mut guest = Guest::new();
    guest.ram.put(0x2004, &640_u16.to_be_bytes());
    let register = hcall_vpa(vpa::REGISTER_VPA);
    assert_eq!(guest.call(H_REGISTER_VPA, &[register, 0, 0x2000]), Rc::SUCCESS);
    assert_eq!(guest.call(H_REGISTER_VPA, &[register, 1, 0x2000]), Rc::PARAMETER);
}

fn hcall_vpa(function: u64) -> u64 {
    function << vpa::SHIFT
}

/// Numbers that find mistakes: ends of ranges, of the guest's memory, and anything.
fn argument() -> impl Strategy<Value = u64> {
    let edges = [0, 1, 8, 16, 17, 0xfff, 0x1000, RAM as u64 - 8, RAM as u64 - 1, RAM as u64, 1 << 31, 1 << 32];
    prop_oneof![
        proptest::sample::select(edges.to_vec()),
        0..RAM as u64,
        (0..8_u64).prop_map(hcall_vpa),
        (0..64_u32).prop_map(|n| 1 << n),
        (0..16_u64).prop_map(|n| u64::MAX - n),
        any::<u64>(),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => (0..=LAST_PAPR / 4).prop_map(|n| n * 4), 2 => H_RTAS..H_RTAS + 2, 1 => any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// A hostile guest gets an answer to whatever it asks, and changes nothing but its results and what the call is about.
    #[test]
    fn every_call_with_any_arguments_is_answered(
        calls in proptest::collection::vec((number(), proptest::collection::vec(argument(), 9)), 1..6),
        contents in proptest::collection::vec(any::<u8>(), 64),
    ) {
        let mut guest = Guest::new();
        for at in (0..RAM as u64).step_by(0x800) {
            guest.ram.put(at, &contents);
        }
        for (number, args) in calls {
            let before = guest.vcpu.regs.clone();
            set_call(&mut guest.vcpu, number, &args);
            let (rc, _) = guest.flow(number, &args);
            prop_assert!((-256..=3).contains(&rc.raw()), "{:?}", rc);
            let after = &guest.vcpu.regs;
            prop_assert_eq!(&after.gpr[..3], &before.gpr[..3]);
            prop_assert_eq!(&after.gpr[13..], &before.gpr[13..]);
            if rc != Rc::SUCCESS {
                prop_assert_eq!(&after.gpr[4..13], &args[..], "an error changes no argument");
                let untouched = Regs { gpr: after.gpr, ..before };
                prop_assert_eq!(after, &untouched);
            }
            prop_assert!(!guest.vcpu.msr().contains(Msr::HV));
            prop_assert_eq!(guest.vcpu.hv.lpcr & !(LPCR::ILE::SET.value | LPCR::AIL::High.value), 0);
        }
    }
}

#[test]
fn upkeep_is_for_a_guest_that_may_measure() {
    let mut guest = Guest::new();
    let unmap = H_UPKEEP + upkeep::UNMAP;
    assert_eq!(guest.call(unmap, &[0x1000, 0x3000]), Rc::SUCCESS);
    assert_eq!(guest.vcpu.regs.gpr[4], 3);
    assert_eq!(guest.call(H_UPKEEP + upkeep::START_LOG, &[0, 0]), Rc::SUCCESS);
    assert_eq!(*guest.ram.upkeep.borrow(), [(Upkeep::Unmap, 0x1000, 0x3000), (Upkeep::StartLog, 0, 0)]);
    guest.machine.settings.bench = false;
    assert_eq!(guest.call(unmap, &[0x1000, 0x3000]), Rc::FUNCTION);
}

#[test]
fn upkeep_concerns_whole_pages_of_the_guests_own() {
    let mut guest = Guest::new();
    let unmap = H_UPKEEP + upkeep::UNMAP;
    assert_eq!(guest.call(unmap, &[0x1008, 0x1000]), Rc::PARAMETER);
    assert_eq!(guest.call(unmap, &[0x1000, 0x1008]), Rc::P2);
    assert_eq!(guest.call(unmap, &[0x1000, RAM as u64]), Rc::PARAMETER);
    assert_eq!(guest.call(unmap, &[0x1000, !0xfff]), Rc::PARAMETER);
    assert!(guest.ram.upkeep.borrow().is_empty());
}

#[test]
fn a_system_reset_is_said_to_all_that_are_meant() {
    let mut guest = Guest::new();
    guest.machine = machine_with(Settings { cpus: 3, ..settings() });
    let told = |guest: &Guest| [0, 1, 2].map(|id| guest.machine.processor(id).is_some_and(Processor::take_reset));
    assert_eq!(guest.call(H_SIGNAL_SYS_RESET, &[2]), Rc::SUCCESS);
    assert_eq!(told(&guest), [false, false, true]);
    assert_eq!(guest.call(H_SIGNAL_SYS_RESET, &[u64::MAX - 1]), Rc::SUCCESS);
    assert_eq!(told(&guest), [false, true, true]);
    assert_eq!(guest.call(H_SIGNAL_SYS_RESET, &[3]), Rc::PARAMETER);
    assert_ne!(guest.vcpu.regs.nip, 0x100);
    assert_eq!(guest.call(H_SIGNAL_SYS_RESET, &[u64::MAX]), Rc::SUCCESS);
    assert_eq!((told(&guest), guest.vcpu.regs.nip), ([false, true, true], 0x100));
}

#[test]
fn byte_order_is_the_partitions() {
    let mut guest = Guest::new();
    assert_eq!(guest.call(H_SET_MODE, &[0, 4, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.machine.modes(), 0);
    assert_eq!(guest.call(H_SET_MODE, &[3, 3, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.call(H_SET_MODE, &[1, 4, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.machine.modes(), guest.vcpu.hv.lpcr & crate::guest::machine::SHARED_MODES);
}

fn hash_guest() -> Guest {
    let mut guest = Guest::new();
    guest.ram.table = Some(FakeTable::default());
    guest
}

fn refuse(guest: &Guest, refusals: impl IntoIterator<Item = Refusal>) {
    guest.ram.table.as_ref().expect("a hash guest").refusals.borrow_mut().extend(refusals);
}

#[test]
fn a_radix_guest_has_no_table() {
    let mut guest = Guest::new();
    for number in [H_ENTER, H_REMOVE, H_READ, H_PROTECT, H_CLEAR_REF, H_CLEAR_MOD, H_BULK_REMOVE, H_RESIZE_HPT_PREPARE]
    {
        assert_eq!(guest.call(number, &[0, 24]), Rc::FUNCTION, "{number:#x}");
    }
}

#[test]
fn calls_about_entries_take_their_arguments_and_give_their_results_in_order() {
    let mut guest = hash_guest();
    assert_eq!((guest.call(H_ENTER, &[1, 2, 4, 8]), guest.result(0)), (Rc::SUCCESS, 15));
    assert_eq!((guest.call(H_REMOVE, &[1, 2, 4]), guest.result(0), guest.result(1)), (Rc::SUCCESS, 3, 4));
    assert_eq!((guest.call(H_READ, &[0, 2, 77]), guest.result(0), guest.result(1)), (Rc::SUCCESS, 2, 3));
    assert_eq!(guest.result(2), 77, "one entry is two results");
    assert_eq!(guest.call(H_READ, &[1, 2]), Rc::SUCCESS);
    assert_eq!((0..8).map(|n| guest.result(n)).collect::<Vec<_>>(), (2..10).collect::<Vec<_>>());
    assert_eq!((guest.call(H_CLEAR_MOD, &[0, 9]), guest.result(0)), (Rc::SUCCESS, 9));
    assert_eq!((guest.call(H_CLEAR_REF, &[0, 9]), guest.result(0)), (Rc::SUCCESS, !9));
    assert_eq!(guest.call(H_PROTECT, &[0, 9, 1]), Rc::SUCCESS);
    assert_eq!(guest.call(H_BULK_REMOVE, &[10, 20, 30, 40, 50, 60, 70, 80]), Rc::SUCCESS);
    assert_eq!((guest.result(0), guest.result(7)), (11, 81));
}

#[test]
fn a_list_of_removals_that_is_begun_is_brought_to_its_end() {
    let mut guest = hash_guest();
    refuse(&guest, [Refusal::Busy, Refusal::Busy]);
    guest.ram.table.as_ref().expect("a hash guest").begins.set(true);
    assert_eq!(guest.call(H_BULK_REMOVE, &[10, 20, 30, 40, 50, 60, 70, 80]), Rc::SUCCESS);
    assert_eq!((guest.result(0), guest.result(7)), (10, 81));
}

#[test]
fn each_refusal_has_its_code() {
    let mut guest = hash_guest();
    let codes = [
        (Refusal::Parameter, -4),
        (Refusal::GroupFull, -6),
        (Refusal::NotFound, -7),
        (Refusal::UnsupportedFlag(40), -296),
    ];
    for (refusal, code) in codes {
        refuse(&guest, [refusal]);
        assert_eq!(guest.call(H_ENTER, &[]).raw(), code);
    }
    refuse(&guest, [Refusal::Parameter]);
    assert_eq!((guest.call(H_BULK_REMOVE, &[7]), guest.result(0)), (Rc::PARAMETER, 7));
}

#[test]
fn a_call_that_meets_another_one_is_made_again() {
    let mut guest = hash_guest();
    guest.vcpu.regs.nip = 0x1004;
    let calls: [(u64, &[u64]); 4] =
        [(H_ENTER, &[1, 2, 3, 4]), (H_REMOVE, &[1, 2, 3]), (H_PROTECT, &[1, 2, 3]), (H_BULK_REMOVE, &[1, 2, 3])];
    for (number, args) in calls {
        refuse(&guest, [Refusal::Busy]);
        let nip = guest.vcpu.regs.nip;
        assert_eq!(guest.flow(number, args).1, Flow::Resume);
        assert_eq!((guest.vcpu.regs.nip, guest.vcpu.regs.gpr[3], guest.result(1)), (nip - 4, number, 2));
    }
}

#[test]
fn another_size_is_asked_for() {
    let mut guest = hash_guest();
    for (number, shift) in [(H_RESIZE_HPT_PREPARE, 24), (H_RESIZE_HPT_COMMIT, 25)] {
        assert_eq!(guest.call(number, &[1, shift]), Rc::SUCCESS);
        assert_eq!(guest.ram.table.as_ref().expect("a hash guest").wanted.get(), (1, shift));
    }
    let codes = [
        (Unresized::LongBusy, 9900),
        (Unresized::Busy, 1),
        (Unresized::Closed, 2),
        (Unresized::Parameter, -4),
        (Unresized::GroupFull, -6),
        (Unresized::Resource, -16),
    ];
    for (why, code) in codes {
        guest.ram.table.as_ref().expect("a hash guest").unresized.set(Some(why));
        assert_eq!(guest.call(H_RESIZE_HPT_COMMIT, &[0, 24]).raw(), code);
    }
}

#[test]
fn a_hash_guest_has_no_process_table_and_stays_a_hash_guest() {
    let mut guest = hash_guest();
    assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[0, 0, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[proc_tbl::MODIFY, 0, 0, 0]), Rc::SUCCESS);
    let new = proc_tbl::MODIFY | proc_tbl::REGISTER;
    assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[new, 0, 0, 0]), Rc::SUCCESS);
    assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[new, 1 << 38, 0, 0]), Rc::P2);
    assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[new, 0, 8, 0]), Rc::P3);
    assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[new, 0, 0, 25]), Rc::P4);
    for kind in [proc_tbl::RADIX, proc_tbl::HASH, proc_tbl::GTSE, proc_tbl::RADIX | proc_tbl::GTSE, 1 << 5] {
        assert_eq!(guest.call(H_REGISTER_PROC_TBL, &[new | kind, 0, 0, 0]), Rc::PARAMETER);
    }
    assert_eq!(guest.ram.process_table.get(), None);
}
