use super::*;
use crate::guest::hcall;
use crate::guest::machine::{Machine, Settings};
use crate::guest::stats::Counters;
use crate::guest::testing::{FakeHost, Ram, machine, machine_with, set_call, settings, vcpu};
use crate::guest::vcpu::Vcpu;
use crate::guest::xics::VTY_SOURCE;
use crate::papr::hcall::H_RTAS;
use proptest::prelude::*;

const RAM: usize = 0x1_0000;
const BLOCK: u64 = 0x2000;

struct Guest {
    vcpu: Vcpu,
    machine: Machine,
    host: FakeHost,
    ram: Ram,
}

impl Guest {
    fn new() -> Self {
        Self { vcpu: vcpu(), machine: machine(), host: FakeHost::default(), ram: Ram::new(RAM) }
    }

    /// H_RTAS with a block at `at`.
    fn enter(&mut self, at: u64) -> (Rc, Flow) {
        set_call(&mut self.vcpu, H_RTAS, &[at]);
        let flow = hcall::handle(&mut Call {
            vcpu: &mut self.vcpu,
            machine: &self.machine,
            host: &self.host,
            memory: &self.ram,
            counters: &mut Counters::default(),
        });
        (Rc::from_register(self.vcpu.regs.gpr[3]), flow)
    }

    /// Calls a service as the kernel does; its results, the status first, and what happens next.
    fn call(&mut self, name: &str, args: &[u32], nret: usize) -> (std::vec::Vec<u32>, Flow) {
        let token = tokens().find(|(n, _)| *n == name).expect("offered").1;
        let word = |n: usize| u32::try_from(n).expect("few");
        self.ram.put_words(BLOCK, &[token, word(args.len()), word(nret)]);
        self.ram.put_words(BLOCK + 12, args);
        let (rc, flow) = self.enter(BLOCK);
        assert_eq!(rc, Rc::SUCCESS);
        let results = (args.len()..args.len() + nret).map(|n| self.ram.be32(BLOCK + 12 + 4 * n as u64));
        (results.collect(), flow)
    }

    fn status(&mut self, name: &str, args: &[u32]) -> Status {
        Status::from_word(self.call(name, args, 1).0[0])
    }
}

#[test]
fn services_that_end_things_say_how() {
    let ends = |name, args: &[u32]| Guest::new().call(name, args, 1).1;
    assert_eq!(ends("power-off", &[u32::MAX, u32::MAX]), Flow::PowerOff);
    assert_eq!(ends("system-reboot", &[]), Flow::Reboot);
    assert_eq!(ends("ibm,os-term", &[0x100]), Flow::GuestPanic);
    assert_eq!(ends("ibm,os-term", &[u32::MAX]), Flow::GuestPanic, "its words are lost, its end is not");
    assert_eq!(ends("stop-self", &[]), Flow::StopSelf);
}

#[test]
fn the_clock_is_the_hosts_until_it_is_set() {
    let mut guest = Guest::new();
    let (results, _) = guest.call("get-time-of-day", &[], 8);
    assert_eq!(results, [0, 2024, 2, 29, 12, 34, 56, 789]);
    assert_eq!(guest.status("set-time-of-day", &[2030, 12, 31, 23, 59, 59, 0]), Status::SUCCESS);
    guest.host.clock.set(guest.host.clock.get().map(|(seconds, _)| (seconds + 1, 0)));
    let (results, _) = guest.call("get-time-of-day", &[], 8);
    assert_eq!(results, [0, 2031, 1, 1, 0, 0, 0, 0]);
    assert_eq!(guest.status("set-time-of-day", &[2030, 2, 30, 0, 0, 0, 0]), Status::PARAMETER);
    guest.host.clock.set(None);
    assert_eq!(guest.call("get-time-of-day", &[], 8).0[0], Status::HARDWARE.word());
    assert_eq!(guest.status("set-time-of-day", &[2030, 1, 1, 0, 0, 0, 0]), Status::HARDWARE);
}

#[test]
fn sources_are_routed_and_masked() {
    let mut guest = Guest::new();
    assert_eq!(guest.call("ibm,get-xive", &[VTY_SOURCE], 3).0, [0, 0, 0xff]);
    assert_eq!(guest.status("ibm,set-xive", &[VTY_SOURCE, 0, 5]), Status::SUCCESS);
    assert_eq!(guest.status("ibm,int-off", &[VTY_SOURCE]), Status::SUCCESS);
    assert_eq!(guest.call("ibm,get-xive", &[VTY_SOURCE], 3).0, [0, 0, 0xff]);
    assert_eq!(guest.status("ibm,int-on", &[VTY_SOURCE]), Status::SUCCESS);
    assert_eq!(guest.call("ibm,get-xive", &[VTY_SOURCE], 3).0, [0, 0, 5]);
    assert_eq!(guest.status("ibm,set-xive", &[VTY_SOURCE, 1, 5]), Status::PARAMETER);
    assert_eq!(guest.status("ibm,set-xive", &[VTY_SOURCE, 0, 256]), Status::PARAMETER);
    assert_eq!(guest.status("ibm,int-on", &[2]), Status::PARAMETER);
}

#[test]
fn system_parameters_are_cut_to_the_buffer() {
    let mut guest = Guest::new();
    assert_eq!(guest.status("ibm,get-system-parameter", &[20, 0x3000, 100]), Status::SUCCESS);
    let text = b"MaxEntCap=1,DesMem=1,DesProcs=1,MaxPlatProcs=1\0";
    assert_eq!(guest.ram.be32(0x3000) >> 16, u32::try_from(text.len()).expect("short"));
    for (at, byte) in (0x3002..).zip(text) {
        assert_eq!(guest.ram.byte(at), *byte);
    }
    assert_eq!(guest.status("ibm,get-system-parameter", &[20, 0x3100, 4]), Status::SUCCESS);
    assert_eq!(guest.ram.be32(0x3102), u32::from_be_bytes([b'M', b'a', 0, 0]));
    assert_eq!(guest.status("ibm,get-system-parameter", &[44, 0x3000, 100]), Status::PARAMETER);
    assert_eq!(guest.status("ibm,get-system-parameter", &[42, 0x3000, 1]), Status::BAD_BUFFER);
    assert_eq!(guest.status("ibm,get-system-parameter", &[42, u32::MAX, 100]), Status::BAD_BUFFER);
    assert_eq!(guest.status("ibm,set-system-parameter", &[20, 0x3000]), Status::NOT_AUTHORIZED);
    assert_eq!(guest.status("ibm,set-system-parameter", &[44, 0x3000]), Status::PARAMETER);
}

#[test]
fn small_services_answer() {
    let mut guest = Guest::new();
    assert_eq!(guest.status("display-character", &[u32::from(b'!')]), Status::SUCCESS);
    assert_eq!(&*guest.host.written.borrow(), b"!");
    assert_eq!(guest.call("query-cpu-stopped-state", &[0], 2).0, [0, 2]);
    assert_eq!(guest.call("query-cpu-stopped-state", &[1], 2).0, [Status::PARAMETER.word(), 0]);
    assert_eq!(guest.status("event-scan", &[0, 0, 0x3000, 100]), Status::NOTHING_FOUND);
    assert_eq!(guest.status("check-exception", &[0x500, 0, 0, 0, 0x3000, 100]), Status::NOTHING_FOUND);
    assert_eq!(guest.status("rtas-last-error", &[0x3000, 100]), Status::NOTHING_FOUND);
}

#[test]
fn wrong_counts_are_a_bad_parameter() {
    let mut guest = Guest::new();
    assert_eq!(guest.status("power-off", &[0]), Status::PARAMETER);
    assert_eq!(guest.call("get-time-of-day", &[], 1).0, [Status::PARAMETER.word()]);
    assert_eq!(guest.call("power-off", &[0, 0], 0).1, Flow::Resume);
}

#[test]
fn a_block_that_cannot_be_is_left_alone() {
    let mut guest = Guest::new();
    let token = tokens().next().expect("some").1;
    for (nargs, nret) in [(17, 1), (16, 1), (1, 16), (u32::MAX, 1), (0, u32::MAX), (0x8000_0000, 0x8000_0000)] {
        guest.ram.put_words(BLOCK, &[token, nargs, nret, 7, 7, 7, 7]);
        assert_eq!(guest.enter(BLOCK), (Rc::PARAMETER, Flow::Resume));
        assert_eq!([0, 4, 8, 12].map(|n| guest.ram.be32(BLOCK + 12 + n)), [7; 4]);
    }
    guest.ram.put_words(BLOCK, &[token, 2, 1]);
    for at in [BLOCK + 1, BLOCK + 2, RAM as u64 - 8, RAM as u64, u64::MAX - 3, 1 << 63] {
        assert_eq!(guest.enter(at), (Rc::PARAMETER, Flow::Resume), "{at:#x}");
    }
    // The header lies inside, the arguments do not.
    guest.ram.put_words(RAM as u64 - 16, &[token, 2, 1]);
    assert_eq!(guest.enter(RAM as u64 - 16), (Rc::PARAMETER, Flow::Resume));
}

#[test]
fn an_unknown_service_gets_a_status_too() {
    let mut guest = Guest::new();
    guest.ram.put_words(BLOCK, &[0xffff, 1, 2, 9, 9, 9]);
    assert_eq!(guest.enter(BLOCK).0, Rc::PARAMETER);
    assert_eq!(guest.ram.be32(BLOCK + 16), Status::PARAMETER.word());
    assert_eq!(guest.ram.be32(BLOCK + 12), 9, "arguments stay as they were");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any block is answered; arguments stay as they were.
    #[test]
    fn any_block_is_answered(
        token in prop_oneof![0x2000..0x2020_u32, any::<u32>()],
        (nargs, nret) in prop_oneof![(0..9_u32, 0..9_u32), any::<(u32, u32)>()],
        words in proptest::collection::vec(prop_oneof![0..0x1_0010_u32, any::<u32>()], 16),
        at in prop_oneof![Just(BLOCK), (0..0x400_u64).prop_map(|n| 0xfe00 + n), any::<u64>()],
    ) {
        let mut guest = Guest::new();
        if at < RAM as u64 {
            guest.ram.put_words(at, &[token, nargs, nret]);
            guest.ram.put_words(at + 12, &words);
        }
        let (rc, _) = guest.enter(at);
        prop_assert!(rc == Rc::SUCCESS || rc == Rc::PARAMETER);
    }
}

#[test]
fn a_stopped_processor_is_started_once_and_with_its_argument() {
    let mut guest = Guest::new();
    guest.machine = machine_with(Settings { cpus: 2, ..settings() });
    assert_eq!(guest.call("query-cpu-stopped-state", &[1], 2).0, [0, 0]);
    assert_eq!(guest.call("start-cpu", &[1, 0x100_0000, 7], 1).0, [Status::PARAMETER.word()], "no memory is there");
    assert_eq!(guest.call("start-cpu", &[2, 0x3000, 7], 1).0, [Status::PARAMETER.word()]);
    assert_eq!(guest.call("start-cpu", &[1, 0x3000, 7], 1).0, [0]);
    assert_eq!(guest.call("start-cpu", &[1, 0x3000, 7], 1).0, [Status::HARDWARE.word()], "it runs");
    assert_eq!(guest.call("query-cpu-stopped-state", &[1], 2).0, [0, 2]);
    let started = guest.machine.processor(1).expect("there").vcpu.lock().clone();
    assert_eq!((started.regs.nip, started.regs.gpr[3], started.regs.msr), (0x3000, 7, 0x8000_0000_0000_1000));
}
