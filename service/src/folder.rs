//! Importing a folder of zone files at start, as fast as the machine can build.
//!
//! Zones come after those that lie in them: a name of a listed zone is never answered from a zone above it, also while the
//! import is under way.
//!
//! Workers take zones one after the other. Each gathers the small ones into groups and commits on its own, so building,
//! encoding, the disk and the edges all work at the same time.

use std::any::Any;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use zonecast_builder::ChangeKind;
use zonecast_ingest::{ManifestEntry, ZoneRoot};
use zonecast_kv_core::HeldLead;
use zonecast_kv_proto::{Batch, Precondition};
use zonecast_kv_store::{StateView, StoreError};
use zonecast_records::Name;

use crate::error::ServiceError;
use crate::import::IdSource;
use crate::import::{
    Committer, Group, Grouped, Plan, ZoneRequest, joined, mark, mark_all, plan_zone, replace_generation,
    unmark_unlisted,
};
use crate::metrics::Imported;
use crate::progress::Progress;
use crate::service::Service;
use crate::zone::Chosen;
use crate::zone::Nesting;
use crate::zone::ZoneGuard;
use crate::zone::zone_file::ZoneText;
use zonecast_api::Tolerance;
use zonecast_api::types::{Finding, Severity};

/// Workers at most: each may hold a large zone in memory.
const MAX_WORKERS: usize = 16;

/// What is chosen for all files.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportChoices {
    /// It is meant where a file leaves little of its zone.
    pub allow_shrink: bool,
    /// What files may have although it breaks a rule.
    pub tolerance: Tolerance,
}

/// Zones that are meant to be there.
#[derive(Clone, Debug, Default)]
pub struct ListedZones {
    /// Those that have a file.
    pub entries: Vec<ManifestEntry>,
    /// Apexes of those whose file cannot even be begun to be read.
    pub left_out: HashSet<Name>,
}

/// What became of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Records in the files that are in the store now.
    pub records: u64,
    /// Zones made or changed.
    pub changed: u64,
    /// Zones whose file is the one they were made of.
    pub unchanged: u64,
    /// Zones whose file breaks a rule, or could not be read.
    pub refused: u64,
    /// Zones whose file would take away too much, or set the serial back: they are as they were.
    pub held: u64,
}

/// What the workers share.
struct Work {
    service: Arc<Service>,
    root: ZoneRoot,
    entries: Vec<ManifestEntry>,
    nesting: Nesting,
    choices: ImportChoices,
    /// All is committed under it.
    lead: HeldLead,
    ids: IdSource,
    next: AtomicUsize,
    /// Whoever asked wants it to end. Not ours to set: an import that fails may begin anew.
    stop: Arc<AtomicBool>,
    /// A worker has failed; the others do nothing more.
    has_failed: AtomicBool,
    progress: Progress,
    report: Mutex<ImportReport>,
}

impl Work {
    /// Whether no further zone is begun.
    fn ends(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.has_failed.load(Ordering::Relaxed)
    }
}

/// Imports every listed file that is not the one its zone was made of. Files that are refused are reported and leave
/// their zone as it is, as do those that would take away too much of it unless `allow_shrink` says that it is meant; a
/// zone that was never loaded is marked, until it is or is not listed any more. `stop` ends it early.
///
/// # Errors
/// The core cannot commit, or has lost its lead on the way: the import ends with it.
pub async fn import_folder(
    service: &Arc<Service>,
    root: ZoneRoot,
    zones: ListedZones,
    choices: ImportChoices,
    stop: Arc<AtomicBool>,
) -> Result<ImportReport, ServiceError> {
    let ListedZones { mut entries, left_out } = zones;
    // Before ids are drawn: those drawn under an earlier lead are swept.
    let lead = service.core().hold_lead()?;
    let listed = entries.iter().map(|entry| entry.apex).chain(left_out.iter().copied()).collect();
    if !left_out.is_empty() {
        let ids = service.allocate(left_out.len()).await?;
        mark_all(service.core(), left_out, ids).await?;
    }
    let nesting = Nesting::of(entries.iter().map(|entry| &entry.apex));
    let ends = nesting.inner_first(&mut entries);
    let progress = Progress::new("importing", "zones", u64::try_from(entries.len()).unwrap_or(u64::MAX));
    let work = Arc::new(Work {
        service: Arc::clone(service),
        root,
        lead,
        ids: service.allocate(entries.len()).await?,
        nesting,
        entries,
        choices,
        next: AtomicUsize::new(0),
        stop,
        has_failed: AtomicBool::new(false),
        progress,
        report: Mutex::default(),
    });
    let mut result = Ok(());
    let mut start = 0;
    for end in ends {
        if result.is_ok() && !work.ends() {
            result = import_run(&work, start..end).await;
        }
        start = end;
    }
    if result.is_ok() && !work.ends() {
        result = unmark_unlisted(service.core(), listed).await;
    }
    work.progress.finish();
    service.look_within(Name::ROOT);
    let report = work.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
    result.map(|()| report)
}

/// Imports some of the zones; all of what it proposed is committed when it returns.
async fn import_run(work: &Arc<Work>, run: Range<usize>) -> Result<(), ServiceError> {
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_WORKERS);
    let (runtime, end) = (Handle::current(), run.end);
    work.next.store(run.start, Ordering::Relaxed);
    let running: Vec<_> = (0..workers.min(run.len()))
        .map(|_| {
            let (work, runtime) = (Arc::clone(work), runtime.clone());
            tokio::task::spawn_blocking(move || {
                let done = Worker::new(&work, &runtime).run(end);
                if done.is_err() {
                    work.has_failed.store(true, Ordering::Relaxed);
                }
                done
            })
        })
        .collect();
    let mut result = Ok(());
    for worker in running {
        let done = worker.await.unwrap_or_else(|error| Err(ServiceError::internal(error)));
        result = result.and(done);
    }
    result
}

/// One thread of an import.
struct Worker<'w> {
    work: &'w Work,
    runtime: &'w Handle,
    committer: Committer<Vec<ZoneWork>>,
    group: Group<ZoneWork>,
}

/// A zone that is planned and not committed yet.
#[derive(Debug)]
struct ZoneWork {
    /// Number of its entry.
    entry: usize,
    batch: Batch,
    /// Held until it is committed.
    _guard: ZoneGuard,
}

impl Grouped for ZoneWork {
    fn batch(&self) -> &Batch {
        &self.batch
    }
}

impl<'w> Worker<'w> {
    fn new(work: &'w Work, runtime: &'w Handle) -> Self {
        let committer = Committer::new(work.service.core().clone(), work.lead.clone());
        Self { work, runtime, committer, group: Group::default() }
    }

    /// Takes zones up to this number.
    fn run(mut self, end: usize) -> Result<(), ServiceError> {
        while !self.work.ends() {
            let number = self.work.next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                break;
            }
            self.import(number, true)?;
            self.retry()?;
            self.work.progress.add(1);
        }
        loop {
            let rest = self.group.take();
            self.send(rest)?;
            self.runtime.block_on(self.committer.finish())?;
            if !self.retry()? {
                return Ok(());
            }
        }
    }

    /// Takes in what was overtaken: zones that have moved are planned anew, the others go again as they are. Says whether
    /// there was anything.
    fn retry(&mut self) -> Result<bool, ServiceError> {
        let overtaken: Vec<ZoneWork> = self.committer.overtaken().flat_map(|(works, _)| works).collect();
        let any = !overtaken.is_empty();
        for zone in overtaken {
            if holds(&self.work.service.core().view(), &zone.batch.preconditions)? {
                let full = self.group.add(zone);
                self.send(full)?;
            } else {
                let number = zone.entry;
                drop(zone);
                self.import(number, false)?;
            }
        }
        Ok(any)
    }

    /// Imports a zone; one that is refused is reported and leaves the store as it is. Only the first time it `counts`.
    fn import(&mut self, number: usize, counts: bool) -> Result<(), ServiceError> {
        let (work, runtime) = (self.work, self.runtime);
        let Some(entry) = work.entries.get(number) else { return Ok(()) };
        let more = || runtime.block_on(work.service.allocate(1));
        let mut more_ids = if counts { None } else { Some(more()?) };
        loop {
            let ids = more_ids.as_ref().unwrap_or(&work.ids);
            match self.plan_and_send(number, entry, ids, counts) {
                Err(ServiceError::Refused { findings, .. }) if counts => self.refuse(&entry.apex, &findings),
                Err(ServiceError::Held(message)) if counts => self.hold(entry, &message),
                Err(ServiceError::Refused { .. } | ServiceError::Held(_)) => {}
                Err(ServiceError::Overtaken(_)) => {
                    more_ids = Some(more()?);
                    continue;
                }
                done => return done,
            }
            return Ok(());
        }
    }

    fn plan_and_send(
        &mut self,
        number: usize,
        entry: &ManifestEntry,
        ids: &IdSource,
        counts: bool,
    ) -> Result<(), ServiceError> {
        let (service, apex) = (&self.work.service, &entry.apex);
        // Nobody else replaces zones before we are ready, except through the API; then that one counts.
        let Some(guard) = self.runtime.block_on(service.locks().replace(*apex)) else { return Ok(()) };
        let text = ZoneText::File { root: &self.work.root, file: &entry.file, nesting: &self.work.nesting };
        let view = service.core().view();
        let author = service.author("folder of zone files");
        let note = author.note(ChangeKind::Replaced);
        let ImportChoices { allow_shrink, tolerance } = self.work.choices;
        let request = ZoneRequest { apex, text, chosen: Chosen::default().tolerating(tolerance), allow_shrink };
        let plan = surviving(&self.work.root, entry, || plan_zone(&view, request, ids, note, service.metrics()));
        let plan = match plan {
            Err(refused @ ServiceError::Refused { .. }) => {
                if let Some(batch) = mark(&view, apex, ids)? {
                    let full = self.group.add(ZoneWork { entry: number, batch, _guard: guard });
                    self.send(full)?;
                }
                return Err(refused);
            }
            plan => plan?,
        };
        drop(view);
        let (records, warnings, imported) = match plan {
            Plan::Unchanged { records } => (records, vec![], Imported::Unchanged),
            Plan::Small(planned) => {
                let full = self.group.add(ZoneWork { entry: number, batch: planned.work, _guard: guard });
                self.send(full)?;
                (planned.records, planned.warnings, Imported::Changed)
            }
            Plan::Large(planned) => {
                let replacing = replace_generation(service.core(), self.work.lead.clone(), planned.work, None);
                self.runtime.block_on(replacing)?;
                (planned.records, planned.warnings, Imported::Changed)
            }
        };
        if counts {
            for warning in &warnings {
                log_finding(apex, warning, false);
            }
            self.count(imported, records);
        }
        Ok(())
    }

    fn send(&mut self, works: Vec<ZoneWork>) -> Result<(), ServiceError> {
        let batch = joined(&works);
        if batch.is_empty() {
            return Ok(());
        }
        self.runtime.block_on(self.committer.push(&batch, works))
    }

    fn refuse(&self, apex: &Name, findings: &[Finding]) {
        for finding in findings {
            log_finding(apex, finding, true);
        }
        self.count(Imported::Refused, 0);
    }

    fn hold(&self, entry: &ManifestEntry, message: &str) {
        let file = whole_path(&self.work.root, entry);
        tracing::error!(zone = %entry.apex, file, rule = "held", "the zone stays as it was: {message}");
        self.count(Imported::Held, 0);
    }

    fn count(&self, imported: Imported, records: u64) {
        self.work.service.metrics().imported(imported, 1);
        let mut report = self.work.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.records += records;
        match imported {
            Imported::Unchanged => report.unchanged += 1,
            Imported::Changed => report.changed += 1,
            Imported::Refused => report.refused += 1,
            Imported::Held => report.held += 1,
        }
    }
}

/// Whether a plan would be made as it was.
fn holds(view: &StateView, basis: &[Precondition]) -> Result<bool, ServiceError> {
    let is_there = |required: &Precondition| Ok(view.edition(required.section)? == required.edition);
    basis
        .iter()
        .try_fold(true, |all, required| Ok(all && is_there(required)?))
        .map_err(|error: StoreError| ServiceError::internal(error))
}

/// Does the work on one file. A panic costs that file only: planning reads and writes nothing, so nothing is half done.
fn surviving<T>(
    root: &ZoneRoot,
    entry: &ManifestEntry,
    work: impl FnOnce() -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let finding = Finding {
            severity: Severity::Error,
            file: Some(whole_path(root, entry)),
            rule: "panic".into(),
            message: format!("a fault of zonecast: the worker panicked: {}", panic_message(panic.as_ref())),
            ..Finding::default()
        };
        Err(ServiceError::refused(format_args!("zone {} is refused", entry.apex), vec![finding]))
    })
}

fn whole_path(root: &ZoneRoot, entry: &ManifestEntry) -> String {
    root.folder().join(&entry.file).display().to_string()
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

fn log_finding(apex: &Name, finding: &Finding, refused: bool) {
    let Finding { severity: _, file, line, record, rule, message } = finding;
    // A field that is none is not logged.
    let (file, record) = (file.as_deref(), record.as_deref());
    if refused {
        tracing::error!(zone = %apex, file, line, record, rule, "zone refused: {message}");
    } else {
        tracing::warn!(zone = %apex, file, line, record, rule, "{message}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use zonecast_builder::{Change, Diff, RrsetChange, SerialTime, record_build, zone_info};
    use zonecast_ingest::Manifest;
    use zonecast_kv_core::Outcome;
    use zonecast_kv_proto::MAX_BATCH_LEN;

    use super::*;
    use crate::import::sweep_orphans;
    use crate::test_service::TestService;
    use crate::zone::zone_file::{Beside, LoadedZone, open_root};

    const ZONES: [&str; 3] = ["a.test", "b.test", "c.test"];

    fn write(folder: &Path, last: u8) {
        for zone in ZONES {
            let text = format!("@ 60 SOA ns m 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.53\nwww 60 A 192.0.2.{last}\n");
            std::fs::write(folder.join(format!("{zone}.zone")), text).unwrap();
        }
    }

    /// Of all files of a folder; the workers are told which to take.
    fn work(api: &TestService, folder: &Path) -> Work {
        let service = Arc::clone(api.service());
        let root = open_root(folder).unwrap();
        let entries = Manifest::of_folder(root.folder()).unwrap().entries;
        Work {
            lead: service.core().hold_lead().unwrap(),
            ids: api.runtime().block_on(service.allocate(entries.len())).unwrap(),
            nesting: Nesting::of(entries.iter().map(|entry| &entry.apex)),
            choices: ImportChoices::default(),
            next: AtomicUsize::new(0),
            stop: Arc::new(AtomicBool::new(false)),
            has_failed: AtomicBool::new(false),
            progress: Progress::new("importing", "zones", 3),
            report: Mutex::default(),
            service,
            root,
            entries,
        }
    }

    /// Plans all files into a group, lets somebody be faster at one zone, and sends the group.
    fn import_overtaken(
        api: &TestService,
        folder: &Path,
        overtake: impl FnOnce(&Arc<Service>, &Handle) + Send + 'static,
    ) {
        let work = work(api, folder);
        let handle = api.runtime().handle().clone();
        let importing = api.runtime().spawn_blocking(move || {
            let count = work.entries.len();
            let mut worker = Worker::new(&work, &handle);
            for number in 0..count {
                worker.import(number, true).unwrap();
            }
            overtake(&work.service, &handle);
            work.next.store(count, Ordering::Relaxed);
            worker.run(count).unwrap();
            let report = work.report.lock().unwrap().clone();
            assert_eq!((report.changed, report.records), (3, 12));
        });
        api.runtime().block_on(importing).unwrap();
    }

    /// Imports all files; what is logged of it.
    fn logged(api: &TestService, folder: &Path) -> String {
        let work = work(api, folder);
        let handle = api.runtime().handle().clone();
        let importing = api.runtime().spawn_blocking(move || {
            let log = Arc::new(Mutex::new(Vec::new()));
            let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(Log(Arc::clone(&log)).maker());
            tracing::subscriber::with_default(lines.finish(), || {
                Worker::new(&work, &handle).run(work.entries.len()).unwrap();
            });
            String::from_utf8(std::mem::take(&mut *log.lock().unwrap())).unwrap()
        });
        api.runtime().block_on(importing).unwrap()
    }

    /// Keeps log lines.
    #[derive(Clone)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn maker(self) -> impl Fn() -> Self {
            move || self.clone()
        }
    }

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_log_line_about_a_file_names_it_whole_and_has_no_empty_field() {
        let api = TestService::start();
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1);
        let hosts: String = (0..20).map(|host| format!("host{host} 60 A 192.0.2.1\n")).collect();
        let large = format!("@ 60 SOA ns.a.test. m 1 2 3 4 5\n@ 60 NS ns.a.test.\n{hosts}");
        std::fs::write(folder.path().join("d.test.zone"), &large).unwrap();
        assert_eq!(logged(&api, folder.path()), "");
        let bad = |zone: &str, text: &str| std::fs::write(folder.path().join(format!("{zone}.zone")), text).unwrap();
        bad("a.test", "@ 60 SOA ns m 0 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.53\n@ 60 MX 9 ns.\u{e4}.\n");
        bad("b.test", "@ 60 SOA ns m 1 2 3 4 5\n");
        bad("c.test", "@ 60 SOA ns m 2 2 3 4 5\n@ 60 NS ns.c.test.\nns 60 A 192.0.2.53\nwww 60 A nonsense\n");
        bad("www.c.test", "@ 60 SOA ns.a.test. m 2 2 3 4 5\n@ 60 NS ns.a.test.\n");
        bad("d.test", large.split("host1 ").next().unwrap());
        let log = logged(&api, folder.path());
        for (zone, rule) in [
            ("a.test", "older-serial"),
            ("a.test", "target-not-ascii"),
            ("b.test", "no-ns"),
            ("d.test", "held"),
            ("www.c.test", "hides-names"),
        ] {
            let lines = log.lines().filter(|line| line.contains(&format!("rule=\"{rule}\"")));
            assert!(
                lines.clone().count() == 1 && lines.clone().all(|line| line.contains(&format!("zone={zone}."))),
                "{log}"
            );
        }
        let whole = folder.path().canonicalize().unwrap();
        for line in log.lines() {
            assert!(line.contains(&format!("file=\"{}/", whole.display())), "{line}");
            assert!(!line.contains("=\"\"") && !line.contains("line=0"), "{line}");
        }
        api.stop();
    }

    /// Every zone is what its file says, to the last key.
    fn assert_as_filed(api: &TestService, folder: &Path) {
        let (view, root) = (api.service().core().view(), open_root(folder).unwrap());
        for entry in Manifest::of_folder(root.folder()).unwrap().entries {
            let info = zone_info(&view, &entry.apex).unwrap().unwrap();
            let loaded = LoadedZone::read(
                ZoneText::File { root: &root, file: &entry.file, nesting: &Nesting::default() },
                &entry.apex,
            )
            .unwrap();
            let beside = Beside { settings: info.settings, ..Beside::default() };
            let built = loaded.build(info.identity, beside).unwrap();
            let Diff::Batch(differs, _) = built.build.diff(&view, MAX_BATCH_LEN).unwrap() else { panic!() };
            assert!(differs.is_empty(), "{}: {differs:?}", entry.apex);
        }
    }

    #[test]
    fn a_group_that_was_overtaken_is_planned_anew_for_the_zone_that_moved() {
        let api = TestService::start();
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1);
        // Somebody makes one of the zones before the group does.
        import_overtaken(&api, folder.path(), |service, handle| {
            let other = b"@ 60 SOA ns m 9 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.99\nother 60 A 192.0.2.99\n";
            let apex: Name = "b.test".parse().unwrap();
            let ids = handle.block_on(service.allocate(1)).unwrap();
            let somebody = service.author("somebody");
            let note = somebody.note(ChangeKind::Replaced);
            let text = ZoneText::Text { name: "other", bytes: other };
            let view = service.core().view();
            let request = ZoneRequest { apex: &apex, text, chosen: Chosen::default(), allow_shrink: false };
            let Plan::Small(planned) = plan_zone(&view, request, &ids, note, service.metrics()).unwrap() else {
                panic!("too large")
            };
            let pending = handle.block_on(service.core().propose(&planned.work)).unwrap();
            assert!(matches!(handle.block_on(pending), Outcome::Committed { .. }));
        });
        assert_as_filed(&api, folder.path());
        // It was made once, and what was planned to make it a second time is nowhere.
        let core = api.service().core();
        assert_eq!(api.runtime().block_on(sweep_orphans(core, core.head().next_id)).unwrap(), 0);

        // Somebody changes a record of one.
        write(folder.path(), 2);
        import_overtaken(&api, folder.path(), |service, handle| {
            let change = service.core().change(|view, _| {
                let apex: Name = "b.test".parse().unwrap();
                let owner = "extra.b.test".parse().unwrap();
                let add = Change::Rrset(RrsetChange::Add {
                    owner,
                    rtype: domain::base::iana::Rtype::A,
                    ttl: 60,
                    rdata: vec![192, 0, 2, 7],
                });
                let built = record_build(view, &apex, &[add], SerialTime::default()).unwrap();
                Ok::<_, ServiceError>((built.batch, ()))
            });
            let ((), pending) = handle.block_on(change).unwrap();
            assert!(matches!(handle.block_on(pending), Outcome::Committed { .. }));
        });
        assert_as_filed(&api, folder.path());
        api.stop();
    }

    #[test]
    fn a_panic_costs_its_file_and_says_which() {
        let folder = tempfile::tempdir().unwrap();
        let root = ZoneRoot::open(folder.path()).unwrap();
        let entry = ManifestEntry { apex: "example.com".parse().unwrap(), file: "example.com.zone".into() };
        let of = |result: Result<(), ServiceError>| match result {
            Err(ServiceError::Refused { findings, .. }) => findings,
            other => panic!("{other:?}"),
        };
        let findings = of(surviving(&root, &entry, || panic!("at record {}", 7)));
        assert!(findings[0].file.as_deref().unwrap().ends_with("/example.com.zone"), "{findings:?}");
        assert_eq!(findings[0].rule, "panic");
        assert!(findings[0].message.ends_with("at record 7"), "{findings:?}");
        assert!(of(surviving(&root, &entry, || panic!("plain")))[0].message.ends_with("plain"));
        assert!(matches!(
            surviving(&root, &entry, || Err::<(), _>(ServiceError::Overloaded)),
            Err(ServiceError::Overloaded)
        ));
        assert_eq!(surviving(&root, &entry, || Ok(7)).unwrap(), 7);
    }
}
