//! System parameters (LoPAR 7.3.16): a big-endian 16-bit length, then the value.

use super::{Outcome, Request};
use crate::guest::machine::{Flow, Settings};
use crate::papr::rtas::{Status, parameter};
use core::fmt::Write;
use heapless::String;

/// The longest value that is kept here.
const VALUE_BYTES: usize = 128;

/// ibm,get-system-parameter(parameter, buffer, length).
pub fn get(request: &mut Request<'_, '_>) -> Outcome {
    let Some(value) = value(request.word(0), request.call.machine.settings) else {
        return (Status::PARAMETER, Flow::Resume);
    };
    let status = if answer(request, &value).is_some() { Status::SUCCESS } else { Status::BAD_BUFFER };
    (status, Flow::Resume)
}

/// ibm,set-system-parameter(parameter, buffer): what there is cannot be changed.
pub fn set(request: &mut Request<'_, '_>) -> Outcome {
    let known = value(request.word(0), request.call.machine.settings).is_some();
    (if known { Status::NOT_AUTHORIZED } else { Status::PARAMETER }, Flow::Resume)
}

/// A parameter's value, the zero byte at the end of a string included.
fn value(number: u32, settings: Settings) -> Option<String<VALUE_BYTES>> {
    let mut text = String::new();
    match number {
        parameter::SPLPAR_CHARACTERISTICS => {
            let (cpus, megabytes) = (settings.cpus, settings.memory_bytes >> 20);
            write!(text, "MaxEntCap={cpus},DesMem={megabytes},DesProcs={cpus},MaxPlatProcs={cpus}\0").ok()?;
        }
        // One byte: 0, the platform runs no diagnosis by itself.
        parameter::DIAGNOSTICS_RUN_MODE => text.push('\0').ok()?,
        parameter::LPAR_NAME => text.push_str("samewise\0").ok()?,
        _ => return None,
    }
    Some(text)
}

/// Writes length and as much of the value as fits.
fn answer(request: &Request<'_, '_>, value: &str) -> Option<()> {
    let room = u64::from(request.word(2));
    let memory = request.call.memory;
    let length = u16::try_from(value.len()).ok()?;
    let wanted = room.min(2 + u64::from(length));
    if wanted < 2 {
        return None;
    }
    let buffer = request.claim(1).block(memory, wanted, 1).ok()?;
    buffer.write(memory, 0, &length.to_be_bytes()).ok()?;
    let shown = value.as_bytes().get(..usize::try_from(wanted - 2).ok()?)?;
    buffer.write(memory, 2, shown).ok()
}
