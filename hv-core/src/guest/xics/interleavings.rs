//! The controller under loom: every order of what two or three processors do at once. Two go without a bound on preemptions, three with at most three.
//!
//! What is defended: each message arrives exactly once, wherever it is routed meanwhile; who has something new to present is told of; and an
//! interrupt carries with it what its sender wrote before.

use super::icp::IPI;
use super::*;
use crate::sync::{AtomicU64, Ordering};
use loom::thread::spawn;
use std::sync::Arc;
use std::vec::Vec as List;

/// A second source.
const OTHER: u32 = FIRST_SOURCE + 1;

/// A controller, and what the processors write beside it.
struct Scene {
    xics: Xics,
    notes: [AtomicU64; 2],
}

impl Scene {
    /// Two servers; the first refuses everything, the second takes everything. The terminal goes to the first at 5, another source too at 4.
    fn new(trigger: Trigger) -> Self {
        let mut xics = Xics::new(2);
        xics.add_source(trigger);
        let scene = Self { xics, notes: [AtomicU64::new(0), AtomicU64::new(0)] };
        let xics = &scene.xics;
        _ = xics.set_cppr(1, 0xff).expect("exists");
        _ = xics.set_route(VTY_SOURCE, 0, 5).expect("exists");
        _ = xics.set_route(OTHER, 0, 4).expect("exists");
        scene
    }

    fn closed() -> Self {
        Self::new(Trigger::Edge)
    }

    /// The first server takes everything as well.
    fn open() -> Self {
        let scene = Self::closed();
        _ = scene.xics.set_cppr(0, 0xff).expect("exists");
        scene
    }

    /// The terminal's interrupt is presented to it.
    fn presenting() -> Self {
        let scene = Self::open();
        _ = scene.xics.signal(VTY_SOURCE, true).expect("exists");
        scene
    }

    /// The other source is a level, on, and in service at the first server.
    fn serving_level() -> Self {
        let scene = Self::new(Trigger::Level);
        _ = scene.xics.set_cppr(0, 0xff).expect("exists");
        _ = scene.xics.signal(OTHER, true).expect("exists");
        assert_eq!(scene.xics.accept(0).expect("exists").source(), OTHER);
        scene
    }

    /// The first server was offered the terminal's interrupt once, which then went elsewhere and is over.
    fn with_a_bit_left_behind() -> Self {
        let scene = Self::closed();
        let xics = &scene.xics;
        _ = xics.signal(VTY_SOURCE, true).expect("exists");
        _ = xics.set_route(VTY_SOURCE, 1, 5).expect("exists");
        let xirr = xics.accept(1).expect("exists");
        _ = xics.end(1, xirr).expect("exists");
        _ = xics.set_route(VTY_SOURCE, 0, 5).expect("exists");
        scene
    }
}

/// What a processor was told to wake, and took.
#[derive(Default)]
struct Seen {
    woken: u64,
    taken: List<u32>,
}

impl Seen {
    fn note(&mut self, wakes: Result<Wakes, XicsError>) {
        self.woken |= wakes.expect("exists").mask();
    }

    fn add(&mut self, mut other: Self) {
        self.woken |= other.woken;
        self.taken.append(&mut other.taken);
    }

    /// Takes what is presented, and ends it.
    fn take(&mut self, xics: &Xics, server: u32) -> Option<u32> {
        let xirr = xics.accept(server).expect("exists");
        if xirr.source() == 0 {
            return None;
        }
        self.taken.push(xirr.source());
        if xirr.source() == IPI {
            self.note(xics.set_mfrr(server, 0xff));
        }
        self.note(xics.end(server, xirr));
        Some(xirr.source())
    }
}

type Act = fn(&Scene, &mut Seen);

/// `acts` at once, in every order.
fn every_order<const N: usize>(scene: fn() -> Scene, acts: [Act; N], check: fn(&Scene, Seen)) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = (N > 2).then_some(3);
    model.check(move || {
        let scene = Arc::new(scene());
        let before = [0, 1].map(|server| scene.xics.is_pending(server));
        let mut others = List::new();
        for act in &acts[1..] {
            let (scene, act) = (scene.clone(), *act);
            others.push(spawn(move || done(act, &scene)));
        }
        let mut seen = done(acts[0], &scene);
        others.into_iter().for_each(|other| seen.add(other.join().expect("no panic")));
        for server in [0, 1] {
            let is_new = scene.xics.is_pending(server) && !before[server as usize];
            assert!(!is_new || seen.woken & (1 << server) != 0, "nobody is told to wake {server}");
        }
        check(&scene, seen);
    });
}

fn done(act: Act, scene: &Scene) -> Seen {
    let mut seen = Seen::default();
    act(scene, &mut seen);
    seen
}

/// Everything that is taken in the end, in the order of the numbers.
fn all(scene: &Scene, mut seen: Seen) -> List<u32> {
    for server in [0, 1] {
        seen.note(scene.xics.set_cppr(server, 0xff));
        while seen.take(&scene.xics, server).is_some() {
            assert!(seen.taken.len() < 10, "too many");
        }
    }
    seen.taken.sort_unstable();
    seen.taken
}

fn signal(scene: &Scene, seen: &mut Seen) {
    seen.note(scene.xics.signal(VTY_SOURCE, true));
}

fn signal_other(scene: &Scene, seen: &mut Seen) {
    seen.note(scene.xics.signal(OTHER, true));
}

fn open(scene: &Scene, seen: &mut Seen) {
    seen.note(scene.xics.set_cppr(0, 0xff));
}

fn close_and_open(scene: &Scene, seen: &mut Seen) {
    seen.note(scene.xics.set_cppr(0, 0));
    seen.note(scene.xics.set_cppr(0, 0xff));
}

fn route_away(scene: &Scene, seen: &mut Seen) {
    seen.note(scene.xics.set_route(VTY_SOURCE, 1, 5));
}

fn take(scene: &Scene, seen: &mut Seen) {
    seen.take(&scene.xics, 0);
}

fn only_the_terminal_pends_there(scene: &Scene, seen: Seen) {
    assert!(scene.xics.is_pending(0), "lost");
    assert_eq!(all(scene, seen), [VTY_SOURCE]);
}

fn the_terminal_once(scene: &Scene, seen: Seen) {
    assert_eq!(all(scene, seen), [VTY_SOURCE]);
}

fn each_once(scene: &Scene, seen: Seen) {
    assert_eq!(all(scene, seen), [VTY_SOURCE, OTHER]);
}

#[test]
fn a_message_that_meets_a_rising_priority_is_presented() {
    every_order(Scene::closed, [open, signal], only_the_terminal_pends_there);
}

#[test]
fn a_message_that_meets_a_priority_on_its_way_down_and_up_is_presented() {
    every_order(Scene::open, [close_and_open, signal], only_the_terminal_pends_there);
}

#[test]
fn a_bit_left_behind_keeps_no_message_out() {
    every_order(Scene::with_a_bit_left_behind, [open, signal], only_the_terminal_pends_there);
}

#[test]
fn what_goes_back_when_the_priority_falls_is_presented_again() {
    every_order(Scene::presenting, [close_and_open, signal_other], |scene, seen| {
        assert!(scene.xics.is_pending(0), "lost");
        assert_eq!(all(scene, seen), [VTY_SOURCE, OTHER]);
    });
}

#[test]
fn what_is_displaced_while_the_processor_accepts_arrives() {
    every_order(Scene::presenting, [take, signal_other], each_once);
}

#[test]
fn what_an_ipi_displaces_while_the_processor_accepts_arrives() {
    every_order(Scene::presenting, [take, |scene, seen| seen.note(scene.xics.set_mfrr(0, 4))], |scene, seen| {
        assert_eq!(all(scene, seen), [IPI, VTY_SOURCE]);
    });
}

#[test]
fn an_ipi_that_is_taken_back_lets_in_what_it_kept_out() {
    fn ipi() -> Scene {
        let scene = Scene::open();
        _ = scene.xics.set_mfrr(0, 4).expect("exists");
        scene
    }
    every_order(ipi, [|scene, seen| seen.note(scene.xics.set_mfrr(0, 0xff)), signal], only_the_terminal_pends_there);
}

#[test]
fn two_sources_of_one_server_arrive_once_each() {
    every_order(Scene::open, [signal, signal_other], each_once);
    every_order(Scene::closed, [open, signal, signal_other], each_once);
}

#[test]
fn a_message_that_is_routed_elsewhere_arrives_once() {
    every_order(Scene::open, [route_away, signal], the_terminal_once);
}

#[test]
fn a_message_that_is_routed_away_from_who_refuses_it_is_presented_there() {
    every_order(Scene::closed, [route_away, signal], |scene, seen| {
        assert!(scene.xics.is_pending(1), "lost");
        assert_eq!(all(scene, seen), [VTY_SOURCE]);
    });
}

#[test]
fn a_waiting_message_that_two_processors_offer_arrives_once() {
    fn waiting() -> Scene {
        let scene = Scene::closed();
        _ = scene.xics.signal(VTY_SOURCE, true).expect("exists");
        scene
    }
    every_order(waiting, [open, route_away], the_terminal_once);
    every_order(waiting, [open, |scene, seen| seen.note(scene.xics.set_masked(VTY_SOURCE, false))], the_terminal_once);
}

#[test]
fn a_message_of_a_source_that_is_unmasked_arrives_once() {
    fn masked() -> Scene {
        let scene = Scene::open();
        _ = scene.xics.set_masked(VTY_SOURCE, true).expect("exists");
        scene
    }
    let unmask: Act = |scene, seen| seen.note(scene.xics.set_masked(VTY_SOURCE, false));
    every_order(masked, [unmask, signal], only_the_terminal_pends_there);
}

#[test]
fn a_message_to_a_processor_that_stops_and_comes_back_arrives_once() {
    fn restart(scene: &Scene, seen: &mut Seen) {
        seen.note(scene.xics.reset_server(0));
        seen.note(scene.xics.set_cppr(0, 0xff));
    }
    every_order(Scene::open, [restart, signal], only_the_terminal_pends_there);
    every_order(Scene::presenting, [restart, route_away], the_terminal_once);
}

#[test]
fn what_a_stopping_processor_is_presented_follows_its_route() {
    let stop: Act = |scene, seen| seen.note(scene.xics.reset_server(0));
    every_order(Scene::presenting, [stop, route_away], |scene, seen| {
        assert!(scene.xics.is_pending(1), "lost");
        assert_eq!(all(scene, seen), [VTY_SOURCE]);
    });
}

fn end_level(scene: &Scene, seen: &mut Seen) {
    seen.note(scene.xics.end(0, Xirr::new(0xff00_0000 | OTHER)));
}

#[test]
fn a_level_that_comes_on_while_it_is_ended_is_presented() {
    fn off() -> Scene {
        let scene = Scene::serving_level();
        _ = scene.xics.signal(OTHER, false).expect("exists");
        scene
    }
    every_order(off, [end_level, signal_other], |scene, _| assert!(scene.xics.is_pending(0), "lost"));
}

#[test]
fn a_level_that_goes_off_and_on_while_it_is_ended_is_presented() {
    fn off_and_on(scene: &Scene, seen: &mut Seen) {
        seen.note(scene.xics.signal(OTHER, false));
        seen.note(scene.xics.signal(OTHER, true));
    }
    every_order(Scene::serving_level, [end_level, off_and_on], |scene, mut seen| {
        assert!(scene.xics.is_pending(0), "lost");
        _ = scene.xics.signal(OTHER, false).expect("exists");
        assert_eq!(seen.take(&scene.xics, 0), Some(OTHER));
        assert!(!scene.xics.is_pending(0), "presented twice");
    });
}

/// Whoever is woken finds the interrupt, though it is only looked for and nothing else orders that.
#[test]
fn who_is_woken_finds_something_pending() {
    fn signal_and_wake(scene: &Scene, seen: &mut Seen) {
        signal(scene, seen);
        scene.notes[0].store(1, Ordering::Release);
    }
    fn look(scene: &Scene, _: &mut Seen) {
        let woken = scene.notes[0].load(Ordering::Acquire) != 0;
        assert!(!woken || scene.xics.is_pending(0), "woken for nothing");
    }
    every_order(Scene::open, [look, signal_and_wake], only_the_terminal_pends_there);
}

/// Takes what comes to the first server, and says for which notes somebody has been told to read them.
fn read_notes(scene: &Scene, seen: &mut Seen) -> [u64; 2] {
    match seen.take(&scene.xics, 0) {
        None => [0, 0],
        Some(_) => [0, 1].map(|note: usize| scene.notes[note].load(Ordering::Relaxed)),
    }
}

/// Each of two senders writes a note, and sends; who takes their interrupts reads both notes, though one interrupt may be all that is left of two.
fn notes_are_read(scene: fn() -> Scene, senders: [Act; 2]) {
    fn reader(scene: &Scene, seen: &mut Seen) {
        // What was read stays read: a note of 2.
        for (note, read) in read_notes(scene, seen).into_iter().enumerate() {
            if read == 1 {
                scene.notes[note].store(2, Ordering::Relaxed);
            }
        }
    }
    every_order(scene, [reader, senders[0], senders[1]], |scene, mut seen| {
        let sent = scene.xics.is_pending(0);
        reader(scene, &mut seen);
        let read = scene.notes.each_ref().map(|note| note.load(Ordering::Relaxed));
        assert_eq!(read, [2, 2], "interrupted since: {sent}");
    });
}

fn note<const N: usize>(scene: &Scene) {
    scene.notes[N].store(1, Ordering::Relaxed);
}

#[test]
fn a_message_carries_what_was_written_before_it_and_so_does_one_that_joins_it() {
    fn send<const N: usize>(scene: &Scene, seen: &mut Seen) {
        note::<N>(scene);
        signal(scene, seen);
    }
    notes_are_read(Scene::open, [send::<0>, send::<1>]);
}

#[test]
fn an_ipi_carries_what_was_written_before_it_and_so_does_one_that_joins_it() {
    fn send<const N: usize>(scene: &Scene, seen: &mut Seen) {
        note::<N>(scene);
        seen.note(scene.xics.set_mfrr(0, 4));
    }
    notes_are_read(Scene::open, [send::<0>, send::<1>]);
}
