//! The zone that a file holds, by the name of the file.

use std::path::Path;

use zonecast_service::exit::{Failure, Outcome};

/// The name of the file without `.zone`.
pub(super) fn zone_of(file: &Path) -> Outcome<String> {
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Failure::usage(format_args!("{} names no zone: add --zone", file.display())))?;
    Ok(name.strip_suffix(".zone").unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_the_file_name_less_zone() {
        assert_eq!(zone_of(Path::new("/a/example.com.zone")).unwrap(), "example.com");
        assert_eq!(zone_of(Path::new("example.com")).unwrap(), "example.com");
    }
}
