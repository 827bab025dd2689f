//! A configuration and what it points at on this machine.

use super::facts::{ConfigFacts, Facts, TokensFacts};
use super::finding::{About, Finding};
use super::port_check::Running;
use super::{folder_check, identity_check, port_check};

pub(super) fn check(facts: &Facts, config: &ConfigFacts, findings: &mut Vec<Finding>) {
    let ConfigFacts { file, local } = config;
    let local = match local {
        Ok(local) => local,
        Err(why) => {
            let advice = "put it right; `zonecast config check FILE` says when it is";
            return About::new(file, findings).error("config", why, advice);
        }
    };
    let name = local.name();
    let mut about = About::new(name, findings);
    about.ok("config", format_args!("{file} configures this {}", local.role));
    identity_check::check(facts.now, local, &mut about);
    if let Some(tokens) = &local.tokens {
        check_tokens(tokens, &mut about);
    }
    let running = Running {
        answer: facts.answer_at(&local.url),
        may_be_silent: local.url.is_empty() || facts.is_shut_at(&local.url),
    };
    if local.url.is_empty() {
        about.warn("answer", "HTTP listens on any free port, so it was not asked", "name where it does: --node URL");
    }
    folder_check::check(local, running.answer.is_some(), &mut about);
    port_check::check(local, running, &mut about);
    if let Some(answer) = running.answer {
        identity_check::compare(local, answer, &mut about);
    }
}

fn check_tokens(TokensFacts { file, count }: &TokensFacts, about: &mut About<'_>) {
    match count {
        Ok(0) => about.warn(
            "tokens",
            format_args!("{} holds no token, so nobody may ask", file.path),
            "make one: `zonecast token create`",
        ),
        Ok(count) => about.ok("tokens", format_args!("{} holds {count}", file.path)),
        Err(why) => about.error("tokens", why, "the node does not start like this; put the file right"),
    }
}
