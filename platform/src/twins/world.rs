//! How a twin uses the world of the CPU that it is on.

use core::cell::RefCell;
use hv_core::guest::host::{Next, Short};
use hv_core::guest::{Exit, Vcpu, World};
use hv_core::hash;
use hv_core::mmu::StorageFault;
use ppc64_arch::addr::GuestReal;
use ppc64_arch::cpu::timebase;

/// A twin that does not leave the guest by itself does so that often a second.
const STAYS: u64 = 1000;

/// One twin's use of the world that both share. Each of its turns ends with [`World::put_away`].
pub struct InTurns<'m, W> {
    world: &'m RefCell<W>,
    /// The longest stay, in timebase ticks: the other one may wait for its end.
    longest: u64,
    exits: u64,
}

impl<'m, W> InTurns<'m, W> {
    /// Of this world, whose timebase counts so often a second.
    pub const fn new(world: &'m RefCell<W>, timebase_hz: u64) -> Self {
        Self { world, longest: timebase_hz / STAYS, exits: 0 }
    }
}

impl<W: World> World for InTurns<'_, W> {
    fn await_interrupts_on(&mut self, vcpu: &mut Vcpu, close: impl FnOnce(GuestReal) -> bool) {
        self.world.borrow_mut().await_interrupts_on(vcpu, close);
    }

    fn enter<S: Short>(&mut self, vcpu: &mut Vcpu, deadline: u64, short: &mut S) -> Exit {
        let deadline = deadline.min(timebase() + self.longest);
        self.world.borrow_mut().enter(vcpu, deadline, &mut EverySecond { short, exits: &mut self.exits })
    }

    fn put_away(&mut self, vcpu: &mut Vcpu) {
        self.world.borrow_mut().put_away(vcpu);
    }

    fn idle(&mut self, deadline: u64) {
        self.world.borrow_mut().idle(deadline);
    }

    fn relax(&mut self) {
        self.world.borrow_mut().relax();
    }
}

/// Has every second exit end the stay.
struct EverySecond<'s, S> {
    short: &'s mut S,
    exits: &'s mut u64,
}

impl<S: Short> EverySecond<'_, S> {
    fn is_second(&mut self) -> bool {
        *self.exits += 1;
        self.exits.is_multiple_of(2)
    }
}

impl<S: Short> Short for EverySecond<'_, S> {
    fn storage(&mut self, vcpu: &mut Vcpu, fault: &StorageFault) -> Next {
        if self.is_second() { Next::Whole } else { self.short.storage(vcpu, fault) }
    }

    fn hash_storage(&mut self, vcpu: &mut Vcpu, fault: &hash::Fault) -> Next {
        if self.is_second() { Next::Whole } else { self.short.hash_storage(vcpu, fault) }
    }

    fn call(&mut self, vcpu: &mut Vcpu) -> Next {
        if self.is_second() { Next::Whole } else { self.short.call(vcpu) }
    }

    fn hash_call(&mut self, vcpu: &mut Vcpu) -> Next {
        if self.is_second() { Next::Whole } else { self.short.hash_call(vcpu) }
    }
}
