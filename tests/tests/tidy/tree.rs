//! The project's files as text.

use std::path::{Path, PathBuf};

/// A file, its path relative to the project with `/` between folders.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Files in order of path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(pub(crate) Vec<File>);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the project").to_owned()
}

impl Tree {
    /// All text files but what is built, fetched or not in version control.
    pub(crate) fn of_project() -> Self {
        let mut files = Vec::new();
        walk(&root(), String::new(), &mut files);
        files.sort_by(|one, other| one.path.cmp(&other.path));
        assert!(files.len() > 50, "the project was not found");
        Self(files)
    }

    /// For self-tests.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() }).collect())
    }

    pub(crate) fn with_ending(&self, ending: &str) -> impl Iterator<Item = &File> {
        self.0.iter().filter(move |file| file.path.ends_with(ending))
    }

    /// Rust files without what only tests compile: code, comments left out.
    pub(crate) fn shipped(&self) -> Vec<File> {
        let test_only = self.test_only_modules();
        let shipped =
            self.with_ending(".rs").filter(|file| !is_test_path(&file.path) && !is_in(&file.path, &test_only));
        shipped
            .map(|file| File { path: file.path.clone(), text: without_comments(&split_tests(&file.text).0) })
            .collect()
    }

    /// What only tests compile: files under `tests/` and `benches/`, and `#[cfg(test)]` parts of others.
    pub(crate) fn test_code(&self) -> Vec<File> {
        let test_only = self.test_only_modules();
        let code = self.with_ending(".rs").map(|file| {
            let whole = is_test_path(&file.path) || is_in(&file.path, &test_only);
            let text = if whole { file.text.clone() } else { split_tests(&file.text).1 };
            File { path: file.path.clone(), text: without_comments(&text) }
        });
        code.collect()
    }

    /// Files of modules that stand as `#[cfg(test)] mod name;`.
    fn test_only_modules(&self) -> Vec<String> {
        let mut found = Vec::new();
        for file in self.with_ending(".rs") {
            let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
            for (at, _) in lines.iter().enumerate().filter(|(_, line)| **line == "#[cfg(test)]") {
                let next = lines[at + 1..].iter().find(|line| !line.starts_with("#["));
                if let Some(name) = next.and_then(|line| module_name(line)) {
                    found.extend(module_files(&file.path, name));
                }
            }
        }
        found
    }
}

/// Whether a file is one of these modules, or a part of one.
fn is_in(path: &str, modules: &[String]) -> bool {
    modules
        .iter()
        .any(|module| path == module || module.strip_suffix("mod.rs").is_some_and(|folder| path.starts_with(folder)))
}

/// `name` of `mod name;` in any visibility.
pub(crate) fn module_name(line: &str) -> Option<&str> {
    let line = line.split("//").next()?.trim().strip_suffix(';')?;
    let (before, name) = line.rsplit_once(' ')?;
    (before == "mod" || (before.starts_with("pub") && before.ends_with(" mod"))).then_some(name)
}

/// Where a module named in the file at `path` may be.
pub(crate) fn module_files(path: &str, name: &str) -> [String; 2] {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.trim_end_matches(".rs");
    let is_root = ["lib", "main", "mod"].contains(&stem) || folder.ends_with("/tests");
    let folder = if is_root { folder.to_owned() } else { format!("{folder}/{stem}") };
    [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
}

fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.contains("/benches/")
}

/// Code, and what stands under `#[cfg(test)]`. rustfmt puts the closing brace where the item began.
fn split_tests(text: &str) -> (String, String) {
    let (mut code, mut tests) = (String::new(), String::new());
    let mut until: Option<String> = None;
    let mut attribute = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if let Some(end) = &until {
            tests.push_str(line);
            tests.push('\n');
            if line == end {
                until = None;
            }
        } else if line.trim() == "#[cfg(test)]" {
            attribute = Some(indent);
        } else if let Some(indent) = attribute.filter(|_| !line.trim().starts_with("#[")) {
            attribute = None;
            tests.push_str(line);
            tests.push('\n');
            if line.ends_with('{') {
                until = Some(format!("{}}}", " ".repeat(indent)));
            }
        } else {
            code.push_str(line);
            code.push('\n');
        }
    }
    (code, tests)
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| match line.find("//") {
        // `://` is part of an address in a string.
        Some(at) if !line[..at].ends_with(':') => line[..at].to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(|line| code(line) + "\n").collect()
}

fn walk(folder: &Path, prefix: String, files: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).expect("folders of the project are readable") {
        let entry = entry.expect("folders of the project are readable");
        let name = entry.file_name().into_string().expect("names in the project are ASCII");
        let path = format!("{prefix}{name}");
        if ["target", ".git", ".cargo", "corpus", "artifacts"].contains(&name.as_str()) {
            continue;
        }
        if entry.file_type().expect("just listed").is_dir() {
            walk(&entry.path(), path + "/", files);
        } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
            files.push(File { path, text });
        }
    }
}

#[test]
fn test_parts_are_told_from_code() {
    let tree = Tree::of(&[
        ("a/src/lib.rs", "mod x;\n#[cfg(test)]\nmod sim;\n"),
        ("a/src/sim.rs", "sim"),
        ("a/src/sim/part.rs", "part"),
        ("a/src/x.rs", "code // remark\n#[cfg(test)]\nmod tests {\n    inner\n}\nmore\n"),
    ]);
    let texts = |files: Vec<File>| files.into_iter().map(|file| file.text).collect::<Vec<_>>();
    assert_eq!(texts(tree.shipped()), ["mod x;\n", "code \nmore\n"]);
    assert_eq!(texts(tree.test_code())[1..], ["sim\n", "part\n", "mod tests {\n    inner\n}\n"]);
}
