//! The day of a time, for people.

const DAY: u64 = 24 * 60 * 60;

/// `2026-11-23` of seconds since 1970, in UTC.
pub fn day(seconds: u64) -> String {
    let (year, month, day) = calendar(seconds);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11-23 09:30:05` of seconds since 1970, in UTC.
pub fn day_and_time(seconds: u64) -> String {
    let of_day = seconds % DAY;
    format!("{} {:02}:{:02}:{:02}", day(seconds), of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// `3 days` of seconds: the largest unit that there is at least one and a half of.
pub fn age(seconds: f64) -> String {
    let units = [(86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds >= 1.5 * length).unwrap_or((1.0, "seconds"));
    format!("{:.0} {unit}", seconds / length)
}

/// `20261123` of seconds since 1970, in UTC: how serials of zones show a day.
pub(crate) fn day_number(seconds: u64) -> u32 {
    let (year, month, day) = calendar(seconds);
    u32::try_from(year * 10_000 + month * 100 + day).unwrap_or(u32::MAX)
}

fn calendar(seconds: u64) -> (u64, u64, u64) {
    // Days since 1 March of the year 0, so that a leap day ends its year; 400 years have 146,097 days.
    let days = seconds / DAY + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    (era * 400 + year + month / 10, (month + 2) % 12 + 1, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_in_a_unit_that_people_count_in() {
        let ages = [(0.4, "0 seconds"), (89.0, "89 seconds"), (3600.0, "60 minutes"), (129_599.0, "36 hours")];
        for (seconds, text) in ages.into_iter().chain([(90.0, "2 minutes"), (259_200.0, "3 days")]) {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        // As `date -u -d DAY +%s` has them.
        let days = [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_795_392_000, "2026-11-23"),
            (1_798_675_199, "2026-12-30"),
            (1_798_761_599, "2026-12-31"),
            (1_798_761_600, "2027-01-01"),
            (4_107_542_400, "2100-03-01"),
        ];
        for (seconds, text) in days {
            assert_eq!(day(seconds), text);
            let time = if seconds % DAY == 0 { "00:00:00" } else { "23:59:59" };
            assert_eq!(day_and_time(seconds), format!("{text} {time}"));
            assert_eq!(day_number(seconds).to_string(), text.replace('-', ""));
        }
    }
}
