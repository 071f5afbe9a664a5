//! The presentation calls of XICS (LoPAR 14.5.4.8, interrupt support).

use super::{Answer, Call};
use crate::guest::machine::Flow;
use crate::guest::xics::{XicsError, Xirr, icp};
use crate::papr::Rc;

impl From<XicsError> for Rc {
    /// A server or source that does not exist.
    fn from(_: XicsError) -> Self {
        Self::PARAMETER
    }
}

/// Accepts what is pending.
pub fn xirr(call: &mut Call<'_>) -> Answer {
    let xirr = call.machine.xics.accept(call.vcpu.id)?;
    call.vcpu.set_result(0, u64::from(xirr.raw()));
    Ok(Flow::Resume)
}

/// Accepts what is pending, and says when.
pub fn xirr_x(call: &mut Call<'_>) -> Answer {
    let flow = xirr(call)?;
    call.vcpu.set_result(1, call.host.timebase());
    Ok(flow)
}

/// Sets the processor's priority.
pub fn cppr(call: &mut Call<'_>) -> Answer {
    let cppr = call.arg(0).low_byte();
    let wakes = call.machine.xics.set_cppr(call.vcpu.id, cppr)?;
    call.wake(wakes.mask());
    Ok(Flow::Resume)
}

/// Ends an interrupt.
pub fn eoi(call: &mut Call<'_>) -> Answer {
    let xirr = Xirr::new(call.arg(0).low_word());
    let wakes = call.machine.xics.end(call.vcpu.id, xirr)?;
    call.wake(wakes.mask());
    Ok(Flow::Resume)
}

/// Asks for an inter-processor interrupt.
pub fn ipi(call: &mut Call<'_>) -> Answer {
    let server = call.arg(0).word()?;
    let mfrr = call.arg(1).low_byte();
    let wakes = call.machine.xics.set_mfrr(server, mfrr)?;
    if mfrr == icp::NONE {
        call.wake(wakes.mask());
        return Ok(Flow::Resume);
    }
    // Also if one is presented already: it was not taken yet.
    Ok(call.call_upon(server))
}

/// Looks without accepting.
pub fn ipoll(call: &mut Call<'_>) -> Answer {
    let server = call.arg(0).word()?;
    let (xirr, mfrr) = call.machine.xics.poll(server)?;
    call.vcpu.set_result(0, u64::from(xirr.raw()));
    call.vcpu.set_result(1, u64::from(mfrr));
    Ok(Flow::Resume)
}
