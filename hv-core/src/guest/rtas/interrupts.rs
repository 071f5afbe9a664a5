//! Services that route and mask interrupt sources (LoPAR 7.3.10.2).

use super::{Outcome, Request};
use crate::guest::machine::Flow;
use crate::guest::xics::{Wakes, XicsError};
use crate::papr::rtas::Status;

/// ibm,set-xive(source, server, priority).
pub fn set_xive(request: &mut Request<'_, '_>) -> Outcome {
    let (source, server) = (request.word(0), request.word(1));
    let Ok(priority) = u8::try_from(request.word(2)) else { return (Status::PARAMETER, Flow::Resume) };
    let routed = request.call.machine.xics.set_route(source, server, priority);
    changed(request, routed)
}

/// ibm,get-xive(source) → server, priority.
pub fn get_xive(request: &mut Request<'_, '_>) -> Outcome {
    let source = request.word(0);
    outcome(request.call.machine.xics.route(source).map(|(server, priority)| {
        request.set(0, server);
        request.set(1, u32::from(priority));
    }))
}

/// ibm,int-on(source).
pub fn int_on(request: &mut Request<'_, '_>) -> Outcome {
    let source = request.word(0);
    let unmasked = request.call.machine.xics.set_masked(source, false);
    changed(request, unmasked)
}

/// ibm,int-off(source).
pub fn int_off(request: &mut Request<'_, '_>) -> Outcome {
    let source = request.word(0);
    let masked = request.call.machine.xics.set_masked(source, true);
    changed(request, masked)
}

fn changed(request: &Request<'_, '_>, result: Result<Wakes, XicsError>) -> Outcome {
    request.call.wake(result.map_or(0, Wakes::mask));
    outcome(result)
}

fn outcome<T>(result: Result<T, XicsError>) -> Outcome {
    let status = if result.is_ok() { Status::SUCCESS } else { Status::PARAMETER };
    (status, Flow::Resume)
}
