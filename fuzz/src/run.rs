//! From a name to a target.

use zonecast_tests::fuzz::TARGETS;

/// Runs the target called `name`.
///
/// # Panics
/// There is no such target, or it found something.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("each binary has a target");
    (target.run)(data);
}
