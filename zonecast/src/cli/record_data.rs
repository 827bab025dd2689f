//! Turns shell arguments into a TTL and zone-file data.
//!
//! A shell removes quotes, and the TTL before the data is optional although much data begins with a number. So the
//! arguments are read with and without a TTL. If one reading is a valid record, it is used; if both are, the command
//! fails and asks for `--ttl`.

use domain::base::iana::Rtype;
use thiserror::Error;
use zonecast_ingest::{Rule, format_rdata, parse_rdata_words, parse_ttl};
use zonecast_records::Name;

/// The TTL and data of the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Data {
    /// Seconds, if given.
    pub(super) ttl: Option<u32>,
    /// As in a zone file, names absolute.
    pub(super) data: String,
}

/// The arguments do not make a record.
#[derive(Debug, Error)]
pub(super) enum DataError {
    /// Neither reading makes a record.
    #[error("data: {0}")]
    Data(#[from] Rule),
    /// Both readings make a record.
    #[error("`{0}` can be the TTL or the beginning of the data: give the TTL with --ttl, then all of it is data")]
    Ambiguous(String),
    /// The text is not a TTL.
    #[error("`{0}` is not a TTL: write seconds, or units as in 1h30m")]
    Ttl(String),
}

/// Reads `[TTL] DATA...`; with `ttl` given apart, all of it is data.
pub(super) fn parse(zone: &Name, rtype: Rtype, ttl: Option<&str>, args: &[String]) -> Result<Data, DataError> {
    let all = read(zone, rtype, args);
    if let Some(ttl) = ttl {
        let ttl = parse_ttl(ttl).ok_or_else(|| DataError::Ttl(ttl.into()))?;
        return Ok(Data { ttl: Some(ttl), data: all? });
    }
    let Some((first, rest, ttl)) = split_ttl(args) else {
        return match (all, args.split_first()) {
            // Without its first word it is a record: that was to be the TTL.
            (Err(_), Some((first, rest))) if is_number(first) && read(zone, rtype, rest).is_ok() => {
                Err(DataError::Ttl(first.clone()))
            }
            (all, _) => Ok(Data { ttl: None, data: all? }),
        };
    };
    match (all, read(zone, rtype, rest)) {
        (Ok(_), Ok(data)) if rest.iter().all(|arg| arg.starts_with('"')) => Ok(Data { ttl: Some(ttl), data }),
        (Ok(_), Ok(_)) => Err(DataError::Ambiguous(first.into())),
        (Ok(data), Err(_)) => Ok(Data { ttl: None, data }),
        (Err(_), Ok(data)) => Ok(Data { ttl: Some(ttl), data }),
        // What the user most probably meant: a TTL and then data with a mistake in it.
        (Err(_), Err(rule)) => Err(rule.into()),
    }
}

/// Reads what names a record: its data, with or without the TTL that it is listed with.
pub(super) fn parse_listed(zone: &Name, rtype: Rtype, args: &[String]) -> Result<String, Rule> {
    read(zone, rtype, args).or_else(|rule| parse(zone, rtype, None, args).map(|parsed| parsed.data).map_err(|_| rule))
}

/// Arguments as the data that the API takes, names absolute.
fn read(zone: &Name, rtype: Rtype, args: &[String]) -> Result<String, Rule> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let rdata = parse_rdata_words(rtype, &words, zone)?;
    Ok(format_rdata(rtype, &rdata))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn split_ttl(args: &[String]) -> Option<(&str, &[String], u32)> {
    let (first, rest) = args.split_first().filter(|(_, rest)| !rest.is_empty())?;
    Some((first, rest, parse_ttl(first)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rtype: Rtype, args: &[&str]) -> Result<Data, DataError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        parse(&"example.com".parse().unwrap(), rtype, None, &args)
    }

    fn data(ttl: Option<u32>, data: &str) -> Data {
        Data { ttl, data: data.into() }
    }

    #[test]
    fn a_number_is_the_ttl_only_where_the_rest_is_a_record() {
        assert_eq!(read(Rtype::A, &["192.0.2.1"]).unwrap(), data(None, "192.0.2.1"));
        assert_eq!(read(Rtype::A, &["60", "192.0.2.1"]).unwrap(), data(Some(60), "192.0.2.1"));
        assert_eq!(read(Rtype::A, &["1h", "192.0.2.1"]).unwrap(), data(Some(3600), "192.0.2.1"));
        assert_eq!(read(Rtype::MX, &["10", "mail"]).unwrap(), data(None, "10 mail.example.com."));
        assert_eq!(read(Rtype::MX, &["10 mail"]).unwrap(), data(None, "10 mail.example.com."));
        assert_eq!(read(Rtype::MX, &["300", "10", "mail"]).unwrap(), data(Some(300), "10 mail.example.com."));
        assert_eq!(read(Rtype::SRV, &["1", "2", "443", "w"]).unwrap(), data(None, "1 2 443 w.example.com."));
        assert_eq!(read(Rtype::SRV, &["60", "1", "2", "443", "w"]).unwrap(), data(Some(60), "1 2 443 w.example.com."));
    }

    #[test]
    fn what_reads_both_ways_is_refused_with_a_hint() {
        let error = read(Rtype::TXT, &["300", "hello"]).unwrap_err().to_string();
        assert!(error.contains("--ttl"), "{error}");
        assert_eq!(read(Rtype::TXT, &["300", "\"hello\""]).unwrap(), data(Some(300), "\"hello\""));
        assert_eq!(read(Rtype::TXT, &["300"]).unwrap(), data(None, "\"300\""));
        let zone: Name = "example.com".parse().unwrap();
        let told = parse(&zone, Rtype::TXT, Some("1m"), &["300".into(), "hello".into()]).unwrap();
        assert_eq!(told, data(Some(60), "\"300\" \"hello\""));
        assert!(parse(&zone, Rtype::TXT, Some("soon"), &["hello".into()]).is_err());
    }

    #[test]
    fn data_that_is_wrong_either_way_is_refused() {
        assert!(read(Rtype::A, &["192.0.2.256"]).is_err());
        assert!(read(Rtype::A, &["60", "192.0.2.256"]).is_err());
        assert!(read(Rtype::CNAME, &["www.example.com"]).is_err(), "a forgotten dot");
        let error = read(Rtype::A, &["99999999999", "192.0.2.1"]).unwrap_err().to_string();
        assert!(error.contains("is not a TTL"), "{error}");
    }

    #[test]
    fn a_record_is_named_with_its_ttl_or_without() {
        let listed = |rtype, args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            parse_listed(&"example.com".parse().unwrap(), rtype, &args)
        };
        assert_eq!(listed(Rtype::A, &["60", "192.0.2.1"]).unwrap(), "192.0.2.1");
        assert_eq!(listed(Rtype::A, &["192.0.2.1"]).unwrap(), "192.0.2.1");
        assert_eq!(listed(Rtype::MX, &["300", "10", "mail"]).unwrap(), "10 mail.example.com.");
        assert_eq!(listed(Rtype::TXT, &["300", "hello"]).unwrap(), "\"300\" \"hello\"", "all of it, where it can be");
        assert!(listed(Rtype::A, &["60", "192.0.2.256"]).is_err());
    }

    #[test]
    fn fields_get_their_quotes_back() {
        assert_eq!(read(Rtype::TXT, &["v=spf1 -all"]).unwrap(), data(None, "\"v=spf1 -all\""));
        let caa = read(Rtype::CAA, &["0", "issue", "ca.example; x=1"]).unwrap();
        assert_eq!(caa, data(None, "0 issue \"ca.example; x=1\""));
        assert_eq!(read(Rtype::CAA, &["0", "issue", ";"]).unwrap(), data(None, "0 issue \";\""));
        let address = read(Rtype::A, &["192.0.2.1 ; home"]).unwrap_err().to_string();
        assert!(address.contains("takes an address"), "{address}");
    }

    #[test]
    fn long_text_becomes_several_strings() {
        let long = read(Rtype::TXT, &[&("x".repeat(254) + "\\064" + "y")]).unwrap();
        assert_eq!(long.data, format!("\"{}@\" \"y\"", "x".repeat(254)));
        let read = read(Rtype::TXT, &[&"x".repeat(300)]).unwrap();
        assert_eq!(read.data, format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
    }
}
