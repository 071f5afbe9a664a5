//! H_GET_TERM_CHAR and H_PUT_TERM_CHAR (LoPAR 14.6.1, terminal calls).

use super::{Answer, Call};
use crate::guest::claim::Claim;
use crate::guest::machine::Flow;
use crate::guest::vty::{CALL_BYTES, Vty};
use crate::papr::Rc;

/// Writes up to 16 characters, all or none.
pub fn put(call: &mut Call<'_>) -> Answer {
    check_terminal(call.arg(0))?;
    let length = call.arg(1).at_most(CALL_BYTES)?;
    let (first, second) = (call.arg(2).any(), call.arg(3).any());
    let mut bytes = [0; CALL_BYTES];
    bytes[..8].copy_from_slice(&first.to_be_bytes());
    bytes[8..].copy_from_slice(&second.to_be_bytes());
    call.machine.vty.lock().write(call.host, &bytes[..length])?;
    Ok(Flow::Resume)
}

/// Reads up to 16 characters.
pub fn get(call: &mut Call<'_>) -> Answer {
    check_terminal(call.arg(0))?;
    let mut bytes = [0; CALL_BYTES];
    let length = call.machine.vty.lock().read(call.host, &mut bytes);
    let whole = u128::from_be_bytes(bytes);
    call.vcpu.set_result(0, length as u64);
    call.vcpu.set_result(1, high_half(whole));
    call.vcpu.set_result(2, high_half(whole << 64));
    Ok(Flow::Resume)
}

fn check_terminal(number: Claim) -> Result<(), Rc> {
    if Vty::answers_to(number.any()) { Ok(()) } else { Err(Rc::PARAMETER) }
}

fn high_half(whole: u128) -> u64 {
    let b = whole.to_be_bytes();
    u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
}
