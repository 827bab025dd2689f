//! Words that do not belong: in shipped code, in tests, anywhere.

use crate::arrows::contains_word;
use crate::tree::{File, Tree};

const IN_SHIPPED_CODE: &[&str] = &[".unwrap()", ".unwrap_err()", "dbg!", "todo!", "unimplemented!"];

/// A test waits for a condition with a deadline, never for a duration; and every test runs. The step between two looks
/// at a condition stands right after its deadline: see [`is_step_of_a_wait`].
const IN_TESTS: &[&str] = &["thread::sleep", "time::sleep", "#[ignore", "dbg!", "todo!"];

fn found(files: &[File], words: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    // The lists above.
    for File { path, text } in files.iter().filter(|file| file.path != "tests/tests/tidy/words.rs") {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if is_step_of_a_wait(&lines, at) {
                continue;
            }
            let number = at + 1;
            let hits = words
                .iter()
                .filter(|word| contains_word(line, word) || (word.starts_with(['.', '#']) && line.contains(**word)));
            violations.extend(hits.map(|word| format!("{path}: {word} (line {number} of its code)")));
        }
    }
    violations
}

/// A sleep in a loop that gives up at a deadline a line or two before.
fn is_step_of_a_wait(lines: &[&str], at: usize) -> bool {
    let before = &lines[at.saturating_sub(3)..at];
    lines[at].contains("::sleep(")
        && before.iter().any(|line| line.to_lowercase().contains("deadline"))
        && before.iter().any(|line| line.contains("while ") || line.contains("loop "))
}

#[test]
fn shipped_code_neither_unwraps_nor_debugs() {
    crate::assert_none(&found(&Tree::of_project().shipped(), IN_SHIPPED_CODE));
    let tree = Tree::of(&[(
        "a/src/x.rs",
        "x.unwrap();\ndbg!(y);\nx.unwrap_or(1);\n#[cfg(test)]\nmod t {\n    z.unwrap();\n}\n",
    )]);
    assert_eq!(found(&tree.shipped(), IN_SHIPPED_CODE).len(), 2);
}

#[test]
fn tests_neither_sleep_nor_stand_aside() {
    crate::assert_none(&found(&Tree::of_project().test_code(), IN_TESTS));
    let tree = Tree::of(&[
        (
            "a/src/x.rs",
            "tokio::time::sleep(d);\n#[cfg(test)]\nmod t {\n    #[ignore = \"slow\"]\n    thread::sleep(d);\n}\n",
        ),
        ("a/tests/t.rs", "tokio::time::sleep(d);\n"),
        ("a/tests/wait.rs", "while !done() {\n    assert!(now() < DEADLINE);\n    thread::sleep(STEP);\n}\n"),
    ]);
    assert_eq!(found(&tree.test_code(), IN_TESTS).len(), 3);
}
