//! Services that end things, and small ones (LoPAR 7.3.7 to 7.3.11).

use super::{Outcome, Request};
use crate::guest::machine::Flow;
use crate::papr::rtas::Status;

/// power-off(mask, mask): what should wake the machine is of no use to a guest.
pub fn power_off(_: &mut Request<'_, '_>) -> Outcome {
    info!("guest: power off");
    (Status::SUCCESS, Flow::PowerOff)
}

/// system-reboot().
pub fn system_reboot(_: &mut Request<'_, '_>) -> Outcome {
    info!("guest: reboot");
    (Status::SUCCESS, Flow::Reboot)
}

/// stop-self(): the caller runs no more until another processor starts it. A guest whose last processor does this is over.
pub fn stop_self(_: &mut Request<'_, '_>) -> Outcome {
    (Status::SUCCESS, Flow::StopSelf)
}

/// start-cpu(cpu, address, r3): a stopped processor begins at that guest real address.
pub fn start_cpu(request: &mut Request<'_, '_>) -> Outcome {
    let (id, at, argument) = (u64::from(request.word(0)), request.claim(1), u64::from(request.word(2)));
    let call = &mut *request.call;
    let (cpu, host, machine) = (call.vcpu.cpu, call.host, call.machine);
    let status = match at.block(call.memory, 4, 4) {
        Ok(first) if machine.start(id, first.start().raw(), argument, cpu, host) => Status::SUCCESS,
        Ok(_) if machine.has_cpu(id) => Status::HARDWARE,
        _ => Status::PARAMETER,
    };
    (status, Flow::Resume)
}

/// query-cpu-stopped-state(cpu) → 0 stopped, 2 running.
pub fn query_cpu_stopped_state(request: &mut Request<'_, '_>) -> Outcome {
    const RUNNING: u32 = 2;
    let id = request.word(0);
    if !request.call.machine.has_cpu(u64::from(id)) {
        return (Status::PARAMETER, Flow::Resume);
    }
    let stopped = request.call.machine.sched.is_stopped(id as usize);
    request.set(0, if stopped { 0 } else { RUNNING });
    (Status::SUCCESS, Flow::Resume)
}

/// ibm,os-term(text): the guest's kernel gave up. Its last words go to the log.
pub fn os_term(request: &mut Request<'_, '_>) -> Outcome {
    let mut text = [0; 128];
    let length = read_text(request, &mut text);
    let _words = text.get(..length).unwrap_or_default();
    error!("guest gave up: {=[u8]:a}", _words);
    (Status::SUCCESS, Flow::GuestPanic)
}

/// Reads the text that ends with a zero byte at the address in argument 0; its length, 0 if there is no such memory.
fn read_text(request: &Request<'_, '_>, into: &mut [u8]) -> usize {
    let mut length = 0;
    for (at, byte) in (request.claim(0).any()..).zip(into.iter_mut()) {
        let cell = core::slice::from_mut(byte);
        let read = request.call.memory.read(ppc64_arch::addr::GuestReal::new(at), cell);
        if read.is_err() || cell[0] == 0 {
            break;
        }
        length += 1;
    }
    length
}

/// display-character(character).
pub fn display_character(request: &mut Request<'_, '_>) -> Outcome {
    let byte = request.claim(0).low_byte();
    match request.call.machine.vty.lock().write(request.call.host, &[byte]) {
        Ok(()) => (Status::SUCCESS, Flow::Resume),
        Err(_) => (Status::BUSY, Flow::Resume),
    }
}

/// event-scan, check-exception, rtas-last-error: no event, no error was ever logged.
pub fn nothing_found(_: &mut Request<'_, '_>) -> Outcome {
    (Status::NOTHING_FOUND, Flow::Resume)
}
