use super::*;
use proptest::prelude::*;

fn open(servers: u32) -> Xics {
    let xics = Xics::new(servers);
    for server in 0..servers {
        _ = xics.set_cppr(server, 0xff).expect("exists");
        _ = xics.set_mfrr(server, 0xff).expect("exists");
    }
    xics
}

#[test]
fn a_message_is_presented_accepted_and_ended() {
    let xics = open(1);
    _ = xics.set_route(VTY_SOURCE, 0, 5).expect("exists");
    assert!(!xics.is_pending(0));
    assert_eq!(xics.signal(VTY_SOURCE, true), Ok(Wakes::one(0)));
    assert!(xics.is_pending(0));
    let xirr = xics.accept(0).expect("exists");
    assert_eq!((xirr.source(), xirr.priority()), (VTY_SOURCE, 0xff));
    assert!(!xics.is_pending(0));
    _ = xics.end(0, xirr).expect("exists");
    assert!(!xics.is_pending(0));
}

#[test]
fn a_message_during_service_is_presented_after_the_end() {
    let xics = open(1);
    _ = xics.set_route(VTY_SOURCE, 0, 5).expect("exists");
    _ = xics.signal(VTY_SOURCE, true).expect("exists");
    let xirr = xics.accept(0).expect("exists");
    _ = xics.signal(VTY_SOURCE, true).expect("exists");
    assert!(!xics.is_pending(0), "its priority is being served");
    assert_eq!(xics.end(0, xirr), Ok(Wakes::one(0)));
    assert!(xics.is_pending(0));
}

#[test]
fn a_masked_message_waits_for_its_unmasking() {
    let xics = open(1);
    _ = xics.set_route(VTY_SOURCE, 0, 5).expect("exists");
    _ = xics.set_masked(VTY_SOURCE, true).expect("exists");
    assert_eq!(xics.route(VTY_SOURCE), Ok((0, 0xff)));
    _ = xics.signal(VTY_SOURCE, true).expect("exists");
    assert!(!xics.is_pending(0));
    _ = xics.set_masked(VTY_SOURCE, false).expect("exists");
    assert!(xics.is_pending(0));
    assert_eq!(xics.route(VTY_SOURCE), Ok((0, 5)));
}

#[test]
fn a_level_is_presented_again_until_it_is_off() {
    let mut xics = open(1);
    let source = xics.add_source(Trigger::Level).expect("room");
    _ = xics.set_route(source, 0, 5).expect("exists");
    _ = xics.signal(source, true).expect("exists");
    let xirr = xics.accept(0).expect("exists");
    _ = xics.end(0, xirr).expect("exists");
    assert!(xics.is_pending(0));
    let xirr = xics.accept(0).expect("exists");
    _ = xics.signal(source, false).expect("exists");
    _ = xics.end(0, xirr).expect("exists");
    assert!(!xics.is_pending(0));
}

#[test]
fn a_displaced_source_comes_back_when_the_better_one_is_done() {
    let mut xics = open(1);
    let worse = VTY_SOURCE;
    let better = xics.add_source(Trigger::Edge).expect("room");
    _ = xics.set_route(worse, 0, 5).expect("exists");
    _ = xics.set_route(better, 0, 4).expect("exists");
    _ = xics.signal(worse, true).expect("exists");
    _ = xics.signal(better, true).expect("exists");
    let first = xics.accept(0).expect("exists");
    assert_eq!(first.source(), better);
    assert!(!xics.is_pending(0));
    _ = xics.end(0, first).expect("exists");
    assert_eq!(xics.accept(0).expect("exists").source(), worse);
}

#[test]
fn lowering_the_priority_sends_what_is_presented_back() {
    let xics = open(1);
    _ = xics.set_route(VTY_SOURCE, 0, 5).expect("exists");
    _ = xics.signal(VTY_SOURCE, true).expect("exists");
    _ = xics.set_cppr(0, 5).expect("exists");
    assert!(!xics.is_pending(0));
    _ = xics.set_cppr(0, 6).expect("exists");
    assert!(xics.is_pending(0));
}

#[test]
fn an_ipi_goes_to_the_server_that_is_named() {
    let xics = open(2);
    assert_eq!(xics.set_mfrr(1, 4), Ok(Wakes::one(1)));
    assert!(!xics.is_pending(0));
    let (xirr, mfrr) = xics.poll(1).expect("exists");
    assert_eq!((xirr.source(), mfrr), (icp::IPI, 4));
    let xirr = xics.accept(1).expect("exists");
    _ = xics.set_mfrr(1, 0xff).expect("exists");
    _ = xics.end(1, xirr).expect("exists");
    assert!(!xics.is_pending(1));
}

#[test]
fn nobody_is_woken_for_what_is_presented_already() {
    let xics = open(1);
    assert_eq!(xics.set_mfrr(0, 4), Ok(Wakes::one(0)));
    assert_eq!(xics.set_mfrr(0, 4), Ok(Wakes::NONE));
    assert_eq!(xics.set_cppr(0, 5), Ok(Wakes::NONE));
    assert_eq!(xics.set_cppr(0, 4), Ok(Wakes::NONE));
    assert_eq!(xics.set_cppr(0, 5), Ok(Wakes::one(0)));
}

#[test]
fn an_ipi_taken_back_from_another_processor_makes_room_there() {
    let xics = open(2);
    _ = xics.set_route(VTY_SOURCE, 1, 5).expect("exists");
    assert_eq!(xics.set_mfrr(1, 4), Ok(Wakes::one(1)));
    assert_eq!(xics.signal(VTY_SOURCE, true), Ok(Wakes::NONE));
    assert_eq!(xics.set_mfrr(1, 0xff), Ok(Wakes::one(1)));
    assert_eq!(xics.accept(1).expect("exists").source(), VTY_SOURCE);
}

#[test]
fn what_a_stopped_processor_was_presented_waits_for_it() {
    let xics = open(2);
    _ = xics.set_route(VTY_SOURCE, 1, 5).expect("exists");
    _ = xics.signal(VTY_SOURCE, true).expect("exists");
    assert_eq!(xics.reset_server(1), Ok(Wakes::NONE));
    assert!(!xics.is_pending(1));
    assert_eq!(xics.poll(1), Ok((Xirr::new(0), 0xff)));
    assert_eq!(xics.set_cppr(1, 0xff), Ok(Wakes::one(1)));
    assert_eq!(xics.accept(1).expect("exists").source(), VTY_SOURCE);
}

#[test]
fn what_a_stopped_processor_was_presented_goes_where_it_is_routed() {
    let xics = open(2);
    _ = xics.set_route(VTY_SOURCE, 1, 5).expect("exists");
    _ = xics.signal(VTY_SOURCE, true).expect("exists");
    assert_eq!(xics.reset_server(1), Ok(Wakes::NONE));
    assert_eq!(xics.set_route(VTY_SOURCE, 0, 5), Ok(Wakes::one(0)));
    assert_eq!(xics.set_cppr(1, 0xff), Ok(Wakes::NONE));
    assert_eq!(xics.accept(0).expect("exists").source(), VTY_SOURCE);
}

#[test]
fn a_source_that_was_routed_away_while_presented_leaves_a_stopped_processor() {
    let xics = open(2);
    _ = xics.set_route(VTY_SOURCE, 1, 5).expect("exists");
    _ = xics.signal(VTY_SOURCE, true).expect("exists");
    assert_eq!(xics.set_route(VTY_SOURCE, 0, 5), Ok(Wakes::NONE));
    assert_eq!(xics.reset_server(1), Ok(Wakes::one(0)));
    assert_eq!(xics.accept(0).expect("exists").source(), VTY_SOURCE);
}

#[test]
fn what_is_displaced_goes_where_it_is_routed_by_now() {
    let mut xics = open(2);
    let better = xics.add_source(Trigger::Edge).expect("room");
    _ = xics.set_route(VTY_SOURCE, 0, 5).expect("exists");
    _ = xics.set_route(better, 0, 4).expect("exists");
    _ = xics.signal(VTY_SOURCE, true).expect("exists");
    _ = xics.set_route(VTY_SOURCE, 1, 5).expect("exists");
    assert_eq!(xics.signal(better, true), Ok(Wakes::one(0) | Wakes::one(1)));
    assert_eq!(xics.accept(0).expect("exists").source(), better);
    assert_eq!(xics.accept(1).expect("exists").source(), VTY_SOURCE);
}

#[test]
fn what_does_not_exist_is_refused() {
    let xics = open(1);
    assert_eq!(xics.accept(1), Err(XicsError::NoServer));
    assert_eq!(xics.set_mfrr(u32::MAX, 0), Err(XicsError::NoServer));
    assert_eq!(xics.set_route(VTY_SOURCE, 1, 5), Err(XicsError::NoServer));
    for source in [0, 2, FIRST_SOURCE - 1, FIRST_SOURCE + 1, u32::MAX] {
        assert_eq!(xics.set_route(source, 0, 5), Err(XicsError::NoSource));
        assert_eq!(xics.signal(source, true), Err(XicsError::NoSource));
    }
    assert!(!xics.is_pending(u32::MAX));
}

/// One thing that a guest or a device can do.
#[derive(Clone, Copy, Debug)]
enum Step {
    Signal(u32),
    Accept(u32),
    EndLast(u32),
    Cppr(u32, u8),
    Mfrr(u32, u8),
    Route(u32, u32, u8),
    Mask(u32, bool),
    Reset(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let server = 0..2_u32;
    let source = FIRST_SOURCE..FIRST_SOURCE + 3;
    prop_oneof![
        source.clone().prop_map(Step::Signal),
        server.clone().prop_map(Step::Accept),
        server.clone().prop_map(Step::EndLast),
        (server.clone(), any::<u8>()).prop_map(|(s, p)| Step::Cppr(s, p)),
        (server.clone(), any::<u8>()).prop_map(|(s, p)| Step::Mfrr(s, p)),
        (source.clone(), server, 0..0xff_u8).prop_map(|(n, s, p)| Step::Route(n, s, p)),
        (source, any::<bool>()).prop_map(|(n, m)| Step::Mask(n, m)),
        (0..2_u32).prop_map(Step::Reset),
    ]
}

proptest! {
    /// Whatever happened before, a message that is signalled once all is open again arrives, exactly once; and nothing becomes pending of which nobody is told.
    #[test]
    fn no_message_is_lost_or_doubled(steps in proptest::collection::vec(step(), 0..60)) {
        let mut xics = open(2);
        xics.add_source(Trigger::Edge);
        xics.add_source(Trigger::Edge);
        let mut last = [Xirr::new(0xff00_0000); 2];
        let mut was_pending = [false; 2];
        for step in steps {
            let result = match step {
                Step::Signal(n) => xics.signal(n, true),
                Step::Accept(s) => take(&xics, s, &mut last[s as usize]),
                Step::EndLast(s) => xics.end(s, last[s as usize]),
                Step::Cppr(s, p) => xics.set_cppr(s, p),
                Step::Mfrr(s, p) => xics.set_mfrr(s, p),
                Step::Route(n, s, p) => xics.set_route(n, s, p),
                Step::Mask(n, m) => xics.set_masked(n, m),
                Step::Reset(s) => xics.reset_server(s),
            };
            let woken = result.expect("exists").mask();
            for server in 0..2 {
                let is_pending = xics.is_pending(server);
                prop_assert!(!is_pending || was_pending[server as usize] || woken & (1 << server) != 0);
                was_pending[server as usize] = is_pending;
            }
        }
        drain(&xics);
        for source in FIRST_SOURCE..FIRST_SOURCE + 3 {
            _ = xics.set_route(source, 0, 9).expect("exists");
        }
        drain(&xics);
        _ = xics.signal(FIRST_SOURCE + 1, true).expect("exists");
        prop_assert_eq!(drain(&xics), vec![FIRST_SOURCE + 1]);
    }
}

/// Accepts, and remembers what.
fn take(xics: &Xics, server: u32, last: &mut Xirr) -> Result<Wakes, XicsError> {
    *last = xics.accept(server)?;
    Ok(Wakes::NONE)
}

/// Opens both servers and takes everything that is there.
fn drain(xics: &Xics) -> std::vec::Vec<u32> {
    let mut taken = std::vec::Vec::new();
    for server in 0..2 {
        _ = xics.set_mfrr(server, 0xff).expect("exists");
        _ = xics.set_cppr(server, 0xff).expect("exists");
        while xics.is_pending(server) {
            let xirr = xics.accept(server).expect("exists");
            taken.push(xirr.source());
            _ = xics.end(server, Xirr::new(0xff00_0000 | xirr.source())).expect("exists");
        }
    }
    taken
}
