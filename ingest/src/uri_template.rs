//! The URI template of `dohpath`, RFC 9461 section 5: a path in UTF-8 by RFC 6570 with the variable `dns`.
//!
//! Only form is checked, as BIND does it: a template that cannot be expanded is of no use to anybody.

/// Whether it is such a template.
pub(crate) fn is_dns_template(bytes: &[u8]) -> bool {
    let Some(mut rest) = std::str::from_utf8(bytes).ok().filter(|text| text.starts_with('/')) else { return false };
    let mut has_dns = false;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((expression, after)) = after.split_once('}') else { return false };
        let variables = expression.strip_prefix(['+', '#', '.', '/', ';', '?', '&']).unwrap_or(expression);
        if !is_literal(literal) || !variables.split(',').all(is_variable) {
            return false;
        }
        has_dns |= variables.split(',').any(|variable| variable_name(variable) == "dns");
        rest = after;
    }
    has_dns && is_literal(rest)
}

/// Percent signs begin escapes.
fn is_literal(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn variable_name(variable: &str) -> &str {
    variable.split([':', '*']).next().unwrap_or_default()
}

/// A name, then perhaps `*`, or `:` and a length below 10,000.
fn is_variable(variable: &str) -> bool {
    let name = variable_name(variable);
    let name_holds = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'%'));
    let modifier_holds = match variable.get(name.len()..).unwrap_or_default() {
        "" | "*" => true,
        modifier => modifier.strip_prefix(':').is_some_and(|length| {
            let digits = (1..=4).contains(&length.len()) && length.bytes().all(|byte| byte.is_ascii_digit());
            digits && !length.starts_with('0')
        }),
    };
    !name.is_empty() && name_holds && is_literal(name) && modifier_holds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_told_from_others() {
        for good in ["/dns-query{?dns}", "/{dns}", "/a%20{+x,dns:3}/{y*}", "/é{?dns}", "/{?a_b%41,dns*}"] {
            assert!(is_dns_template(good.as_bytes()), "{good}");
        }
        for bad in ["", "dns{?dns}", "/", "/dns", "/{dns", "/{?}", "/{?dns,}", "/{dns:0}", "/{dns:10000}", "/{=dns}"] {
            assert!(!is_dns_template(bad.as_bytes()), "{bad}");
        }
        for bad in ["/%2{dns}", "/%{dns}", "/{d-ns,dns}", "/{dns}%", "/{dnss}", "/{d%4,dns}", "/{??dns}"] {
            assert!(!is_dns_template(bad.as_bytes()), "{bad}");
        }
        assert!(!is_dns_template(b"/{dns}\xff"));
    }
}
