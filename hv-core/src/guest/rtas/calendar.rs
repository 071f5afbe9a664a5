//! Dates of the Gregorian calendar and seconds since 1970, both UTC.
//!
//! Years are counted from March, so that the day that comes and goes is a year's last one; then 400 years are always 146,097
//! days, and a month's first day is a straight line rounded down.

/// A moment, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// 1970 and later.
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
}

const SECONDS_A_DAY: u64 = 86_400;
/// Days of four centuries.
const CYCLE: u64 = 146_097;
/// Days from 1 March of year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;
/// The last year that is understood: beyond it the numbers are surely not a date.
const LAST_YEAR: u32 = 9999;

impl Date {
    /// The date `seconds` after the beginning of 1970; at most the end of the year 9999.
    #[must_use]
    pub fn from_unix(seconds: u64) -> Self {
        let seconds = seconds.min(253_402_300_799);
        let (days, in_day) = (seconds / SECONDS_A_DAY, word(seconds % SECONDS_A_DAY));
        let since = days + EPOCH;
        let (cycle, of_cycle) = (since / CYCLE, since % CYCLE);
        let year_of_cycle = year_of_cycle(of_cycle);
        let of_year = of_cycle - days_before_year(year_of_cycle);
        // Months from March: 0 is March, 11 February.
        let from_march = (5 * of_year + 2) / 153;
        let day = word(of_year - days_before_month(from_march)) + 1;
        let month = word((from_march + 2) % 12) + 1;
        let year = word(400 * cycle + year_of_cycle) + u32::from(month <= 2);
        Self { year, month, day, hour: in_day / 3600, minute: in_day / 60 % 60, second: in_day % 60 }
    }

    /// Seconds since the beginning of 1970, or `None` if there is no such date.
    #[must_use]
    pub fn to_unix(self) -> Option<u64> {
        let Self { year, month, day, hour, minute, second } = self;
        let real = (1970..=LAST_YEAR).contains(&year)
            && (1..=12).contains(&month)
            && (1..=month_length(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !real {
            return None;
        }
        let from_march = u64::from((month + 9) % 12);
        let march_year = u64::from(year) - u64::from(month <= 2);
        let days = march_year / 400 * CYCLE
            + days_before_year(march_year % 400)
            + days_before_month(from_march)
            + u64::from(day - 1)
            - EPOCH;
        Some(days * SECONDS_A_DAY + u64::from(hour * 3600 + minute * 60 + second))
    }
}

/// Days of a cycle before its year `year`.
const fn days_before_year(year: u64) -> u64 {
    365 * year + year / 4 - year / 100
}

/// Days of a year before its month `month`, counted from March.
const fn days_before_month(month: u64) -> u64 {
    (153 * month + 2) / 5
}

/// Which year of its cycle day `day` of the cycle is in.
fn year_of_cycle(day: u64) -> u64 {
    let guess = (day / 365).min(399);
    if days_before_year(guess) > day { guess - 1 } else { guess }
}

fn month_length(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Narrows a number that the arithmetic above keeps far below 2^32.
fn word(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(year: u32, month: u32, day: u32) -> Date {
        Date { year, month, day, hour: 0, minute: 0, second: 0 }
    }

    #[test]
    fn known_moments_are_what_they_are() {
        assert_eq!(Date::from_unix(0), date(1970, 1, 1));
        assert_eq!(date(2000, 3, 1).to_unix(), Some(951_868_800));
        let moment = Date { year: 2038, month: 1, day: 19, hour: 3, minute: 14, second: 7 };
        assert_eq!(moment.to_unix(), Some(0x7fff_ffff));
        assert_eq!(Date::from_unix(0x7fff_ffff), moment);
        assert_eq!(Date::from_unix(1_709_164_800), date(2024, 2, 29));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for no in [date(2023, 2, 29), date(2100, 2, 29), date(2024, 4, 31), date(2024, 0, 1), date(2024, 13, 1)] {
            assert_eq!(no.to_unix(), None, "{no:?}");
        }
        assert_eq!(date(1969, 12, 31).to_unix(), None);
        assert_eq!(date(u32::MAX, u32::MAX, u32::MAX).to_unix(), None);
        assert_eq!(Date { hour: 24, ..date(2024, 1, 1) }.to_unix(), None);
        assert!(date(2400, 2, 29).to_unix().is_some());
    }

    #[test]
    fn each_day_of_four_centuries_follows_the_day_before() {
        let mut last = date(1970, 1, 1);
        for day in 1..CYCLE + 366 {
            let next = Date::from_unix(day * SECONDS_A_DAY);
            let follows = (next.year, next.month, next.day) == (last.year, last.month, last.day + 1)
                || (next.day == 1
                    && last.day == month_length(last.year, last.month)
                    && (12 * next.year + next.month) == (12 * last.year + last.month + 1));
            assert!(follows, "{last:?} {next:?}");
            last = next;
        }
    }

    proptest! {
        #[test]
        fn seconds_become_a_date_and_come_back(seconds in 0..253_402_300_800_u64) {
            prop_assert_eq!(Date::from_unix(seconds).to_unix(), Some(seconds));
        }

        #[test]
        fn no_number_is_too_large(seconds: u64) {
            prop_assert!(Date::from_unix(seconds).year <= LAST_YEAR);
        }
    }
}
