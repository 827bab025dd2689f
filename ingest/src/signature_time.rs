//! Times of signatures: `YYYYMMDDHHmmSS` in UTC or seconds since 1970, RFC 4034 section 3.2.
//!
//! The 32 bits of a time are a serial number (section 3.1.5), so they come round every 136 years: a date of any year is
//! read, and what is written is the one from 1970 to 2106.

const DAY: u32 = 86_400;

/// The 32 bits; `None` where the text is no time.
pub(crate) fn read(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    if text.len() != 14 {
        return text.parse().ok().filter(|_| text.len() <= 10);
    }
    let part = |start: usize, end: usize| text.get(start..end)?.parse::<u32>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    days_of_month(year, month).filter(|days| (1..=*days).contains(&day))?;
    let months: u32 = (1..month).filter_map(|month| days_of_month(year, month)).sum();
    let days = i64::from(days_before(year) + months + day - 1) - i64::from(days_before(1970));
    let seconds = days * i64::from(DAY) + i64::from(hour * 3600 + minute * 60 + second);
    u32::try_from(seconds.rem_euclid(1 << 32)).ok()
}

/// Days from the beginning of year 0 to that of another.
fn days_before(year: u32) -> u32 {
    let last = year.saturating_sub(1);
    let leap_years = if year == 0 { 0 } else { last / 4 - last / 100 + last / 400 + 1 };
    year * 365 + leap_years
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
            ("21060207062816", Some(0)),
            ("21070101000000", Some(28_315_904)),
            ("99991231235959", Some(4_294_197_631)),
            ("19691231235959", Some(u32::MAX)),
            ("19691223021215", Some(4_294_197_631)),
            ("00000229000000", Some(2_262_387_840)),
            ("21000229000000", None),
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
