//! Finds accesses of which nothing says that one happens before the other.

/// A place that many may share or one may have to itself. It is loom's cell under loom; elsewhere it compares the clocks that the scheduler keeps.
#[cfg(loom)]
pub struct Watch(loom::cell::UnsafeCell<()>);

#[cfg(loom)]
impl Watch {
    pub fn new() -> Self {
        Self(loom::cell::UnsafeCell::new(()))
    }

    /// One of many is here.
    pub fn shared(&self) {
        self.0.with(|_| ());
    }

    /// One alone is here.
    pub fn exclusive(&self) {
        self.0.with_mut(|_| ());
    }
}

/// How much of each task's past the CPUs that were here knew.
#[cfg(shuttle)]
pub struct Watch(core::cell::RefCell<Past>);

#[cfg(shuttle)]
#[derive(Default)]
struct Past {
    shared: Vec<u32>,
    exclusive: Vec<u32>,
}

#[cfg(shuttle)]
impl Watch {
    pub fn new() -> Self {
        Self(core::cell::RefCell::default())
    }

    /// One of many is here: whoever was alone here before is known to be gone.
    pub fn shared(&self) {
        let (now, mut past) = (shuttle::current::clock(), self.0.borrow_mut());
        assert!(is_past(&past.exclusive, &now), "a frame is used that somebody has to itself");
        add(&mut past.shared, &now);
    }

    /// One alone is here: everybody who was here before is known to be gone.
    pub fn exclusive(&self) {
        let (now, mut past) = (shuttle::current::clock(), self.0.borrow_mut());
        let alone = is_past(&past.shared, &now) && is_past(&past.exclusive, &now);
        assert!(alone, "a frame changes hands while it is used");
        add(&mut past.exclusive, &now);
    }
}

#[cfg(shuttle)]
fn is_past(then: &[u32], now: &[u32]) -> bool {
    then.iter().enumerate().all(|(task, time)| *time <= now.get(task).copied().unwrap_or(0))
}

#[cfg(shuttle)]
fn add(past: &mut Vec<u32>, now: &[u32]) {
    past.resize(past.len().max(now.len()), 0);
    past.iter_mut().zip(now).for_each(|(past, now)| *past = (*past).max(*now));
}
