//! Tests that cannot run on this machine: said, counted, and a failure in CI.
//!
//! `make test` names a file with `ZONECAST_SKIPPED`, prints what stands in it at the end, and how many lines that is.
//! Where `CI` is set, everything that a test needs must be there.

use std::io::Write as _;

/// Says that a test, or a part of it, does not run here; the caller returns. `needs` is what is missing.
///
/// # Panics
/// In CI, where nothing may be missing, and where the skip cannot be written down.
pub fn skip(needs: impl std::fmt::Display) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("CI").is_none(), "{test} may not be skipped in CI: {needs}");
    skip_also_in_ci(needs);
}

/// The same where CI may lack it, too: the history of the repository, of which a shallow clone has one commit.
///
/// # Panics
/// The skip cannot be written down.
pub fn skip_also_in_ci(needs: impl std::fmt::Display) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    #[allow(clippy::print_stdout, reason = "for who runs this test alone")]
    {
        println!("SKIPPED: {test}: {needs}");
    }
    let Some(path) = std::env::var_os("ZONECAST_SKIPPED") else { return };
    // One short write to the end: lines of tests that run at the same time do not mix.
    let written = std::fs::File::options().create(true).append(true).open(&path);
    let written = written.and_then(|mut file| file.write_all(format!("{test}: {needs}\n").as_bytes()));
    assert!(written.is_ok(), "{}: {written:?}", path.display());
}

/// What a test needs; skips where this machine does not give it.
pub fn or_skip<T, E: std::fmt::Display>(needed: Result<T, E>, needs: &str) -> Option<T> {
    needed.map_err(|error| skip(format_args!("{needs}: {error}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_skipped() {
        assert_eq!(or_skip::<_, &str>(Ok(1), "nothing"), Some(1));
    }

    #[test]
    fn in_ci_nothing_may_be_missing() {
        // The environment belongs to the whole process, so a process of its own is asked.
        let run = |name: &str, value: Option<&std::path::Path>, ci: Option<&str>| {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command.args(["skip::tests::child_that_skips", "--exact", "--nocapture"]).env(CHILD, "1");
            command.env_remove("CI").env_remove("ZONECAST_SKIPPED");
            command.envs(ci.map(|ci| ("CI", ci))).envs(value.map(|value| (name, value)));
            command.output().unwrap().status.success()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("skipped");
        assert!(run("ZONECAST_SKIPPED", Some(&file), None));
        assert!(run("ZONECAST_SKIPPED", Some(&file), None));
        let lines = std::fs::read_to_string(&file).unwrap();
        assert_eq!(lines, "skip::tests::child_that_skips: a disk: none\n".repeat(2));
        assert!(!run("ZONECAST_SKIPPED", Some(&file), Some("true")));
    }

    const CHILD: &str = "ZONECAST_TEST_SKIPS";

    /// Not a test: the body of the child.
    #[test]
    fn child_that_skips() {
        if std::env::var_os(CHILD).is_some() {
            assert_eq!(or_skip::<(), _>(Err("none"), "a disk"), None);
        }
    }
}
