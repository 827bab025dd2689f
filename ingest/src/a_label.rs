//! What DNS has in place of names in other letters than ASCII: A-labels such as `xn--bcher-kva`, RFC 5890 section 2.3.2.1.

use zonecast_records::Name;

/// The text of a name with A-labels in place of its U-labels; `None` where it has none, or they have no such form.
pub(crate) fn a_labels(text: &str) -> Option<String> {
    if text.is_ascii() { None } else { idna::domain_to_ascii(text).ok() }
}

/// The name with A-labels in place of labels that are UTF-8; `None` where it has none, or they have no such form.
#[must_use]
pub fn with_a_labels(name: &Name) -> Option<Name> {
    let has_u_labels = name.labels().any(|label| !label.is_ascii());
    let label = |label: &[u8]| match label.is_ascii() {
        true => Some(label.to_vec()),
        false => {
            a_labels(std::str::from_utf8(label).ok()?).filter(|label| !label.contains('.')).map(String::into_bytes)
        }
    };
    let labels: Vec<Vec<u8>> = name.labels().map(label).collect::<Option<_>>()?;
    // `below` takes labels from the apex down.
    let other = Name::below(&Name::ROOT, labels.iter().rev().map(Vec::as_slice)).ok()?;
    has_u_labels.then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u_labels_become_a_labels() {
        assert_eq!(a_labels("bücher.example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(a_labels("example"), None);
        let wire = |label: &[u8]| Name::below(&"Example".parse().unwrap(), std::iter::once(label)).unwrap();
        let written = with_a_labels(&wire("bücher".as_bytes())).unwrap();
        assert!(written.same_case(&"xn--bcher-kva.Example".parse().unwrap()), "{written}");
        assert_eq!(with_a_labels(&wire(b"www")), None);
        assert_eq!(with_a_labels(&wire(b"\xff")), None, "no UTF-8");
    }
}
