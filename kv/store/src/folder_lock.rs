//! One process at a time in a folder.

use std::fs::{File, TryLockError};
use std::time::Duration;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// A child that is being started has the open files of its parent until it runs its program, and with them their locks:
/// a lock that was given up a moment ago may still be held. Nobody who works in the folder lets go within so many attempts.
const ATTEMPTS: u32 = 50;

/// Takes the lock on this file, which goes with the file.
///
/// # Errors
/// Another process has it, or the system says no.
pub fn lock_file(file: &File) -> Result<(), TryLockError> {
    lock_with(file, || std::thread::sleep(PAUSE))
}

fn lock_with(file: &File, mut pause: impl FnMut()) -> Result<(), TryLockError> {
    for _ in 1..ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => pause(),
            taken_or_failed => return taken_or_failed,
        }
    }
    file.try_lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_in_a_moment_is_waited_for_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| File::create(folder.path().join("lock")).unwrap());
        let mut one = Some(one);
        lock_file(one.as_ref().unwrap()).unwrap();
        let mut attempts = 1;
        let refused = lock_with(&other, || attempts += 1);
        assert!(matches!(refused, Err(TryLockError::WouldBlock)) && attempts == ATTEMPTS, "{refused:?} {attempts}");
        lock_with(&other, || one = None).unwrap();
    }
}
