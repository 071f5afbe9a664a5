//! The services that are offered. Their names are properties of the device tree's `/rtas` node, their tokens the values.

use super::{Outcome, Request, interrupts, lifecycle, parameters, time};
use core::ops::RangeInclusive;

/// One service.
pub struct Service {
    /// Its name in the device tree.
    pub name: &'static str,
    /// How many arguments it takes.
    pub nargs: RangeInclusive<usize>,
    /// How many results it has, the status among them.
    pub nret: usize,
    pub(super) handler: fn(&mut Request<'_, '_>) -> Outcome,
}

/// The first token. Any number would do; a zero or a small one is likely to be a mistake.
const FIRST_TOKEN: u32 = 0x2000;

macro_rules! services {
    ($($name:literal $nargs:tt => $nret:literal, $handler:path;)*) => {
        /// Every service that is offered, by token.
        pub static SERVICES: [Service; [$($name),*].len()] = [
            $(Service { name: $name, nargs: services!(@range $nargs), nret: $nret, handler: $handler },)*
        ];
    };
    (@range $n:literal) => { $n..=$n };
    (@range ($low:literal to $high:literal)) => { $low..=$high };
}

services! {
    "power-off" 2 => 1, lifecycle::power_off;
    "system-reboot" 0 => 1, lifecycle::system_reboot;
    "stop-self" 0 => 1, lifecycle::stop_self;
    "start-cpu" 3 => 1, lifecycle::start_cpu;
    "query-cpu-stopped-state" 1 => 2, lifecycle::query_cpu_stopped_state;
    "ibm,os-term" 1 => 1, lifecycle::os_term;
    "display-character" 1 => 1, lifecycle::display_character;
    "get-time-of-day" 0 => 8, time::get;
    "set-time-of-day" 7 => 1, time::set;
    "ibm,get-system-parameter" 3 => 1, parameters::get;
    "ibm,set-system-parameter" 2 => 1, parameters::set;
    "event-scan" 4 => 1, lifecycle::nothing_found;
    "check-exception" (6 to 7) => 1, lifecycle::nothing_found;
    "rtas-last-error" 2 => 1, lifecycle::nothing_found;
    "ibm,set-xive" 3 => 1, interrupts::set_xive;
    "ibm,get-xive" 1 => 3, interrupts::get_xive;
    "ibm,int-on" 1 => 1, interrupts::int_on;
    "ibm,int-off" 1 => 1, interrupts::int_off;
}

/// The service with this token.
#[must_use]
pub fn find(token: u32) -> Option<&'static Service> {
    SERVICES.get(token.checked_sub(FIRST_TOKEN)? as usize)
}

/// Names and tokens, for the device tree.
pub fn tokens() -> impl Iterator<Item = (&'static str, u32)> {
    SERVICES.iter().map(|service| service.name).zip(FIRST_TOKEN..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_own_token_by_which_it_is_found() {
        for (name, token) in tokens() {
            assert_eq!(find(token).map(|service| service.name), Some(name));
        }
        for token in [0, FIRST_TOKEN - 1, FIRST_TOKEN + 18, u32::MAX] {
            assert!(find(token).is_none());
        }
    }
}
