//! Dates and times of day, as machines' clocks tell them, in seconds since 1970 UTC.

/// Seconds since 1970 UTC at this moment of the Gregorian calendar; `None` if there is no such month or year.
#[must_use]
pub fn seconds(year: u32, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Option<u64> {
    ((1..=12).contains(&month) && (1970..10_000).contains(&year)).then(|| {
        days_since_1970(year, month, day) * 86_400 + u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second)
    })
}

/// The same of OPAL's clock, in binary-coded decimal: year (four digits), month and day in one word; hour, minute and second in the high bytes of a
/// doubleword.
#[must_use]
pub fn from_bcd(date: u32, time: u64) -> Option<u64> {
    let [century, year, month, day] = date.to_be_bytes().map(decimal);
    let [hour, minute, second, ..] = time.to_be_bytes().map(decimal);
    seconds(century * 100 + year, month, day, hour, minute, second)
}

/// Two decimal digits.
fn decimal(byte: u8) -> u32 {
    u32::from(byte >> 4) * 10 + u32::from(byte & 15)
}

/// Days from 1 January 1970 to this date. Years are counted from March, so that the leap day comes last.
fn days_since_1970(year: u32, month: u32, day: u32) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let since_march = (153 * month + 2) / 5 + day.saturating_sub(1);
    // 719 468 days lie between 1 March of year 0 and 1 January 1970.
    (u64::from(year) * 365 + u64::from(leap_days) + u64::from(since_march)).saturating_sub(719_468)
}
