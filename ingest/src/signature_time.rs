//! Times of signatures: `YYYYMMDDHHmmSS` in UTC or seconds since 1970, RFC 4034 section 3.2.

const DAY: u32 = 86_400;

/// Seconds since 1970; `None` where the text is no time before 2106.
pub(crate) fn read(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    if text.len() != 14 {
        return text.parse().ok().filter(|_| text.len() <= 10);
    }
    let part = |start: usize, end: usize| text.get(start..end)?.parse::<u32>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if !(1970..=2106).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    days_of_month(year, month).filter(|days| (1..=*days).contains(&day))?;
    let years: u32 = (1970..year).map(days_of_year).sum();
    let months: u32 = (1..month).filter_map(|month| days_of_month(year, month)).sum();
    let days_before = years + months + day - 1;
    days_before.checked_mul(DAY)?.checked_add(hour * 3600 + minute * 60 + second)
}

/// As `YYYYMMDDHHmmSS`, which every server reads.
pub(crate) fn format(seconds: u32) -> String {
    let (mut days, rest) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while let Some(length) = days_of_month(year, month).filter(|length| days >= *length) {
        days -= length;
        month += 1;
    }
    format!("{year}{month:02}{:02}{:02}{:02}{:02}", days + 1, rest / 3600, rest / 60 % 60, rest % 60)
}

fn days_of_year(year: u32) -> u32 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u32, month: u32) -> Option<u32> {
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => return None,
    })
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_written_time_reads_back(seconds in any::<u32>()) {
            let text = format(seconds);
            prop_assert_eq!(read(text.as_bytes()), Some(seconds), "{}", text);
            prop_assert_eq!(read(seconds.to_string().as_bytes()), Some(seconds));
        }
    }

    #[test]
    fn known_times() {
        for (text, seconds) in [
            ("19700101000000", Some(0)),
            ("20000229235959", Some(951_868_799)),
            ("20301301000000", None),
            ("20300230000000", None),
            ("21060207062815", Some(u32::MAX)),
            ("21060207062816", None),
            ("203001010000", None),
            ("20300101240000", None),
            ("4294967296", None),
            ("", None),
            ("+1", None),
        ] {
            assert_eq!(read(text.as_bytes()), seconds, "{text}");
        }
    }
}
