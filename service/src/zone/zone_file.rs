//! From the text of a zone to its keys, and what is to be said about it. Nothing here talks to a core.

use std::fmt::Debug;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use zonecast_builder::{
    FullBuild, LayerChange, Location, Refused, Rule, Settings, Tolerance, Warning, ZoneIdentity, ZoneSettings,
    ZoneSource,
};
use zonecast_ingest::{
    FileError, FileReport, FileWarning, Location as FileLocation, SourceError, ZoneRoot, read_zone_bytes,
    read_zone_file, with_a_labels, write_record,
};
use zonecast_records::{Generation, Name, ZoneId};

use super::{FileOrigin, Origin};
use crate::exit::{Code, Failure, Outcome};
use crate::zone::Nesting;
use zonecast_api::types::{Finding, Severity};

/// Where the text of a zone is.
#[derive(Clone, Copy, Debug)]
pub enum ZoneText<'a> {
    /// A file in the folder of zones.
    File {
        /// The folder that includes must not leave.
        root: &'a ZoneRoot,
        /// Relative to it.
        file: &'a Path,
        /// Of all that are listed with it.
        nesting: &'a Nesting,
    },
    /// Text that came over the network; it cannot include files.
    Text {
        /// Its name in messages.
        name: &'a str,
        /// The text.
        bytes: &'a [u8],
    },
}

/// The records of a zone.
#[derive(Debug)]
pub struct LoadedZone {
    source: ZoneSource,
    report: FileReport,
    places: Places,
    /// Zones that are listed with it and lie below it, in wire form.
    listed_below: Vec<Box<[u8]>>,
    /// It is a file of the folder of zones.
    is_file: bool,
}

/// What a zone is built with beside its text.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// What is chosen for it.
    pub settings: ZoneSettings,
    /// What is laid over its records.
    pub layers: Vec<LayerChange>,
    /// What its text may have although it breaks a rule.
    pub tolerance: Tolerance,
    /// Zones of the store that lie below it, in wire form.
    pub hosted_below: Vec<Box<[u8]>>,
    /// The file of the folder that the present zone was made of last.
    pub before: Option<FileOrigin>,
}

/// The keys of a zone.
#[derive(Debug)]
pub struct BuiltZone {
    /// Its keys.
    pub build: FullBuild,
    /// What is odd but served.
    pub warnings: Vec<Finding>,
    /// As read, duplicates counted.
    pub records: u64,
    /// What its text is called in messages: a file by its whole path.
    file: Option<String>,
}

/// Places of records as the builder carries them: 32 bits.
#[derive(Debug, Default)]
struct Places {
    /// Those that are not plain lines of the zone's own file.
    others: Vec<FileLocation>,
}

/// Set in a builder's location that is an index into [`Places::others`].
const OTHER: u32 = 1 << 31;

impl LoadedZone {
    /// Reads a zone.
    ///
    /// # Errors
    /// What keeps it from being served, up to some number of findings.
    pub fn read(text: ZoneText<'_>, apex: &Name) -> Result<Self, Vec<Finding>> {
        let mut source = ZoneSource::new(*apex);
        let mut places = Places::default();
        let mut sink = |record: zonecast_records::RecordRef<'_>, location: FileLocation| {
            source.push(record, places.put(location));
            ControlFlow::Continue(())
        };
        let is_file = matches!(text, ZoneText::File { .. });
        let (report, listed_below) = match text {
            ZoneText::File { root, file, nesting } => (read_file(root, file, apex, &mut sink), nesting.below(apex)),
            ZoneText::Text { name, bytes } => (read_zone_bytes(name, bytes, apex, &mut sink), vec![]),
        };
        match report {
            Ok(report) => Ok(Self { source, report, places, listed_below, is_file }),
            Err(errors) => Err(errors.iter().map(file_error).collect()),
        }
    }

    /// Builds its keys.
    ///
    /// # Errors
    /// What keeps it from being served.
    pub fn build(self, identity: ZoneIdentity, beside: Beside) -> Result<BuiltZone, Vec<Finding>> {
        let Self { source, report, places, listed_below, is_file } = self;
        let Beside { settings, layers, tolerance, mut hosted_below, before } = beside;
        hosted_below.extend(listed_below);
        let file = match is_file {
            true => Some(FileOrigin { digest: report.digest, tolerance }),
            false => before,
        };
        let origin = Origin { digest: report.digest, records: report.records, file };
        let settings = Settings::with_origin(origin.to_bytes()).with_zone(settings).with_layers(layers);
        let settings = settings.with_hosted_below(hosted_below).with_tolerance(tolerance);
        let place = |location: Option<Location>| location.map(|location| places.get(location));
        match source.build(identity, &settings) {
            Ok(build) => {
                let mut warnings: Vec<Finding> = report.warnings.iter().map(file_warning).collect();
                warnings
                    .extend(build.warnings().iter().map(|finding| built(finding, place(finding.location), &report)));
                let file = report.files.into_iter().next();
                Ok(BuiltZone { build, warnings, records: report.records, file })
            }
            Err(Refused { findings }) => {
                Err(findings.iter().map(|finding| built(finding, place(finding.location), &report)).collect())
            }
        }
    }
}

impl BuiltZone {
    /// Adds a warning about the text as a whole.
    pub fn warn(&mut self, warning: Option<Finding>) {
        let file = self.file.clone();
        self.warnings.extend(warning.map(|warning| Finding { file, ..warning }));
    }
}

impl Places {
    fn put(&mut self, location: FileLocation) -> Location {
        if location.file == 0 && location.line < OTHER {
            return Location::new(location.line);
        }
        // Records of one place follow each other.
        if self.others.last() != Some(&location) {
            self.others.push(location);
        }
        let index = u32::try_from(self.others.len() - 1).unwrap_or(u32::MAX);
        Location::new(index | OTHER)
    }

    fn get(&self, location: Location) -> FileLocation {
        let number = location.get();
        let other = usize::try_from(number & !OTHER).ok().and_then(|index| self.others.get(index));
        match other {
            Some(other) if number & OTHER != 0 => *other,
            _ => FileLocation { file: 0, line: number },
        }
    }
}

/// What `zone check` found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// As read, duplicates counted.
    pub records: u64,
    /// What keeps it from being served.
    pub errors: Vec<Finding>,
    /// What is odd but served.
    pub warnings: Vec<Finding>,
}

/// Checks a zone as an import into an empty store would.
#[must_use]
pub fn check(text: ZoneText<'_>, zone: &Name, beside: Beside) -> Checked {
    let identity = ZoneIdentity { id: ZoneId::new(1), generation: Generation::new(1) };
    match LoadedZone::read(text, zone).and_then(|loaded| loaded.build(identity, beside)) {
        Ok(built) => Checked { records: built.records, errors: vec![], warnings: built.warnings },
        Err(errors) => Checked { records: 0, errors, warnings: vec![] },
    }
}

/// Reads a zone file; places in the report are whole paths.
fn read_file(
    root: &ZoneRoot,
    file: &Path,
    apex: &Name,
    sink: &mut zonecast_ingest::RecordSink<'_>,
) -> Result<FileReport, Vec<FileError>> {
    let whole = |file: &mut String| *file = root.folder().join(&*file).display().to_string();
    let mut report = read_zone_file(root, file, apex, sink);
    match &mut report {
        Ok(report) => {
            report.files.iter_mut().for_each(whole);
            report.warnings.iter_mut().for_each(|warning| whole(&mut warning.file));
        }
        Err(errors) => errors.iter_mut().for_each(|error| whole(&mut error.file)),
    }
    report
}

/// The text of a zone file for a request, with what it includes put in place: from `folder`, or else from its own.
///
/// # Errors
/// The file cannot be read, or `zone` is no name; where it has includes, also when its text breaks a rule.
pub fn read_flat(path: &Path, zone: &str, folder: Option<&Path>) -> Outcome<Vec<u8>> {
    let zone = parse_zone(zone)?;
    let text = std::fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let includes = text.split(|byte| *byte == b'\n').any(|line| {
        let word = line.get(.."$INCLUDE".len()).unwrap_or_default();
        word.eq_ignore_ascii_case(b"$INCLUDE")
    });
    if !includes {
        return Ok(text);
    }
    let (root, file) = root_of(path, folder)?;
    let mut flat = Vec::new();
    let report = read_file(&root, &file, &zone, &mut |record, _| {
        // Writing into memory cannot fail.
        let _ = write_record(record, &mut flat);
        ControlFlow::Continue(())
    });
    match report {
        Ok(_) => Ok(flat),
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(Failure::failed(errors.join("; ")))
        }
    }
}

/// A name, as the command line has it.
///
/// # Errors
/// It is none.
pub fn parse_zone(text: &str) -> Outcome<Name> {
    text.parse().map_err(|error| Failure::usage(format_args!("zone `{text}`: {error}")))
}

/// The folder of zones that a file is in, its own unless told otherwise, and where in it the file is.
///
/// # Errors
/// There is no such file or folder, or the one is not in the other.
pub fn root_of(path: &Path, folder: Option<&Path>) -> Outcome<(ZoneRoot, PathBuf)> {
    let own = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = path.file_name().map_or(path, Path::new);
    // Not opened: a pipe would wait for whoever writes into it.
    path.symlink_metadata().map_err(|error| Failure::io("read", path, &error))?;
    let root = open_root(folder.unwrap_or(own))?;
    let own = own.canonicalize().map_err(|error| Failure::io("read folder", own, &error))?;
    match own.strip_prefix(root.folder()) {
        Ok(own) => Ok((root, own.join(file))),
        Err(_) => Err(Failure::usage(format_args!("{} is not in {}", path.display(), root.folder().display()))),
    }
}

/// Opens a folder of zone files.
///
/// # Errors
/// It is no folder, or cannot be read.
pub fn open_root(folder: &Path) -> Outcome<ZoneRoot> {
    let root = ZoneRoot::open(folder).map_err(|error: SourceError| Failure::new(Code::Unreadable, error))?;
    std::fs::read_dir(folder).map_err(|error| Failure::io("read folder", folder, &error))?;
    Ok(root)
}

/// What the builder finds, as bad as it is.
pub(crate) trait Graded: Debug + ToString {
    /// Of all of them.
    const SEVERITY: Severity;

    /// What a person is told of it at a name.
    fn message(&self, _owner: &Name) -> String {
        self.to_string()
    }
}

impl Graded for Rule {
    const SEVERITY: Severity = Severity::Error;
}

impl Graded for Warning {
    const SEVERITY: Severity = Severity::Warning;

    fn message(&self, owner: &Name) -> String {
        match with_a_labels(owner) {
            Some(written) if matches!(self, Self::NotAscii) => format!("{self}: write {written}"),
            _ => self.to_string(),
        }
    }
}

fn file_error(error: &FileError) -> Finding {
    Finding {
        severity: Severity::Error,
        file: Some(error.file.clone()),
        line: line(error.line),
        record: Some(error.entry.clone()).filter(|entry| !entry.is_empty()),
        rule: word(&error.rule),
        message: error.rule.to_string(),
    }
}

fn file_warning(warning: &FileWarning) -> Finding {
    Finding {
        severity: Severity::Warning,
        file: Some(warning.file.clone()),
        line: line(warning.line),
        record: Some(warning.entry.clone()).filter(|entry| !entry.is_empty()),
        rule: word(&warning.oddity),
        message: warning.oddity.to_string(),
    }
}

fn built<R: Graded>(
    finding: &zonecast_builder::Finding<R>,
    place: Option<FileLocation>,
    report: &FileReport,
) -> Finding {
    let file = place.and_then(|place| report.files.get(usize::try_from(place.file).ok()?));
    Finding {
        file: file.or(report.files.first()).cloned(),
        line: place.and_then(|place| line(place.line)),
        ..described(finding)
    }
}

/// A finding of the builder without its place.
pub(crate) fn described<R: Graded>(finding: &zonecast_builder::Finding<R>) -> Finding {
    Finding {
        severity: R::SEVERITY,
        file: None,
        line: None,
        record: Some(format!("{} {}", finding.owner, finding.rtype)),
        rule: word(&finding.rule),
        message: finding.rule.message(&finding.owner),
    }
}

fn line(line: u32) -> Option<u64> {
    (line > 0).then_some(u64::from(line))
}

/// The name of a rule for programs: that of its variant, as `cname-and-other`.
pub fn word(rule: &impl Debug) -> String {
    let mut word = String::new();
    for letter in format!("{rule:?}").chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back() {
        let mut places = Places::default();
        let all = [(0, 7), (1, 7), (1, 7), (2, 1), (0, 8)].map(|(file, line)| FileLocation { file, line });
        let kept = all.map(|place| places.put(place));
        assert_eq!(kept.map(|location| places.get(location)), all);
    }

    #[test]
    fn rules_have_words() {
        #[derive(Debug)]
        enum Rule {
            CnameAndOther,
            #[expect(dead_code, reason = "only its name counts")]
            TooLarge(u64),
        }
        assert_eq!(word(&Rule::CnameAndOther), "cname-and-other");
        assert_eq!(word(&Rule::TooLarge(9)), "too-large");
    }

    #[test]
    fn a_bad_record_is_reported_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let check = |path: &Path| {
            let (root, file) = root_of(path, None)?;
            let nesting = Nesting::default();
            let text = ZoneText::File { root: &root, file: &file, nesting: &nesting };
            Ok::<_, Failure>(check(text, &"example.com".parse().unwrap(), Beside::default()))
        };
        let path = folder.path().join("example.com.zone");
        let text = "$TTL 60\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww CNAME ns\nwww A 192.0.2.2\n";
        std::fs::write(&path, text).unwrap();
        let checked = check(&path).unwrap();
        let [error] = checked.errors.as_slice() else { panic!("{:?}", checked.errors) };
        let whole = folder.path().canonicalize().unwrap().join("example.com.zone");
        assert_eq!(error.file.as_deref(), whole.to_str());
        assert!(matches!(error.line, Some(5 | 6)), "{error:?}");
        assert_eq!(error.rule, "cname-and-other");
        std::fs::write(&path, text.replace("www CNAME", "web CNAME")).unwrap();
        assert!(check(&path).unwrap().errors.is_empty());
        assert_eq!(check(Path::new("/no/such/file")).unwrap_err().code, Code::Unreadable);
    }

    #[test]
    fn includes_are_put_in_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("more"), "www 60 A 192.0.2.1\n").unwrap();
        let path = folder.path().join("zone");
        std::fs::write(&path, "$INCLUDE more\n").unwrap();
        let flat =
            |path: &Path, root| read_flat(path, "example.com", root).map(|flat| String::from_utf8(flat).unwrap());
        let expected = "www.example.com.\t60\tIN\tA\t192.0.2.1\n";
        assert_eq!(flat(&path, None).unwrap(), expected);
        // Relative to the folder of zones, as at a core.
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let path = folder.path().join("sub").join("zone");
        std::fs::write(&path, "$INCLUDE more\n").unwrap();
        assert_eq!(flat(&path, Some(folder.path())).unwrap(), expected);
        let missing = flat(&path, None).unwrap_err().to_string();
        assert!(missing.contains("/sub/zone:1: "), "{missing}");
        assert_eq!(flat(&folder.path().join("zone"), Some(&folder.path().join("sub"))).unwrap_err().code, Code::Usage);
    }
}
