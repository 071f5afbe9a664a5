//! The clock (LoPAR 7.3.1 and 7.3.2). The host's is read only; what the guest sets is kept as a difference to it.

use super::calendar::Date;
use super::{Outcome, Request};
use crate::guest::machine::Flow;
use crate::papr::rtas::Status;

/// get-time-of-day() → year, month, day, hour, minute, second, nanosecond.
pub fn get(request: &mut Request<'_, '_>) -> Outcome {
    let Some((seconds, nanoseconds)) = request.call.host.wall_clock() else {
        return (Status::HARDWARE, Flow::Resume);
    };
    let guest_seconds = seconds.saturating_add_signed(request.call.machine.clock_offset());
    let date = Date::from_unix(guest_seconds);
    let words = [date.year, date.month, date.day, date.hour, date.minute, date.second, nanoseconds];
    for (n, word) in words.into_iter().enumerate() {
        request.set(n, word);
    }
    (Status::SUCCESS, Flow::Resume)
}

/// set-time-of-day(year, month, day, hour, minute, second, nanosecond).
pub fn set(request: &mut Request<'_, '_>) -> Outcome {
    let [year, month, day, hour, minute, second] = [0, 1, 2, 3, 4, 5].map(|n| request.word(n));
    let Some(wanted) = (Date { year, month, day, hour, minute, second }).to_unix() else {
        return (Status::PARAMETER, Flow::Resume);
    };
    let Some((host_seconds, _)) = request.call.host.wall_clock() else {
        return (Status::HARDWARE, Flow::Resume);
    };
    let offset = i128::from(wanted) - i128::from(host_seconds);
    request.call.machine.set_clock_offset(i64::try_from(offset).unwrap_or(0));
    (Status::SUCCESS, Flow::Resume)
}
