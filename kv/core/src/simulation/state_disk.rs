//! The state on a disk that forgets: applied in memory, durable when it is synced or when the database writes some of it by
//! itself. A power loss takes it back to there, and raft applies the rest again.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use zonecast_kv_proto::{
    Accepted, Beside, Command, Edition, Effect, EncodedSection, Head, Key, MachineError, MemoryView, Op, OpRef,
    RequestId, RequestRecord, SectionId, Value, Verdict, View, ViewError, decode_ops,
};
use zonecast_kv_store::{AppliedVersion, StoreError};

use super::event::Event;
use super::run::Run;
use super::writes::content_hash;
use crate::entry::{decode_log_id, decode_membership};
use crate::environment::{AppliedSteps, State, StateSnapshot, Step, StepContent};

/// After one in so many applied entries the database writes by itself what it has.
const FLUSH: u64 = 12;

/// What is durable. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateDisk(Arc<Mutex<Arc<Content>>>);

/// A state, unchanging.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    head: Head,
    pub(crate) applied: Option<Bytes>,
    pub(crate) membership: Option<Bytes>,
    beside: Records,
    data: MemoryView,
}

/// What a state keeps beside its data.
#[derive(Clone, Debug, Default)]
struct Records {
    editions: BTreeMap<SectionId, Edition>,
    requests: BTreeMap<RequestId, RequestRecord>,
}

impl Beside for Records {
    type Error = ViewError;

    fn edition(&self, section: SectionId) -> Result<Edition, ViewError> {
        Ok(self.editions.get(&section).copied().unwrap_or_default())
    }

    fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, ViewError> {
        Ok(self.requests.get(id).cloned())
    }

    fn requests(&self, from: &RequestId, most: usize) -> Result<Vec<(RequestId, RequestRecord)>, ViewError> {
        Ok(self.requests.range(from..).take(most).map(|(id, record)| (*id, record.clone())).collect())
    }
}

impl StateDisk {
    fn keep(&self, content: Arc<Content>) {
        *self.0.lock().unwrap() = content;
    }

    pub(crate) fn content(&self) -> Arc<Content> {
        Arc::clone(&self.0.lock().unwrap())
    }
}

impl Content {
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    pub(crate) fn hash(&self) -> u64 {
        content_hash(&self.data)
    }

    /// Index of the last applied entry.
    pub(crate) fn applied(&self) -> Option<u64> {
        self.applied.clone().map(|log_id| decode_log_id(log_id).unwrap().index)
    }

    /// The voters that it knows of.
    pub(crate) fn voters(&self) -> Vec<u64> {
        let membership = self.membership.clone().map(|membership| decode_membership(membership).unwrap());
        membership.map_or(vec![], |membership| membership.voter_ids().collect())
    }

    fn command(
        &mut self,
        command: Command,
        versions: &mut Vec<AppliedVersion>,
    ) -> Result<Verdict, MachineError<ViewError>> {
        let effect = self.head.apply(command, &self.beside)?;
        let verdict = effect.verdict();
        if let Effect::Accepted(Accepted { editions, published, private, requests, .. }) = effect {
            self.beside.editions.extend(editions);
            requests.gone.iter().for_each(|id| drop(self.beside.requests.remove(id)));
            self.beside.requests.extend(requests.new.map(|new| *new));
            self.write(&private);
            if let Some(published) = published {
                self.write(&published.sections);
                versions.push(AppliedVersion { bytes: published.to_bytes(), position: self.head.position });
            }
        }
        Ok(verdict)
    }

    fn write(&mut self, sections: &[EncodedSection]) {
        for op in sections.iter().flat_map(decode_ops) {
            let key = |key: &[u8]| Key::new(key.to_vec()).unwrap();
            self.data.apply_op(&match op.unwrap() {
                OpRef::Put { key: at, value } => Op::Put { key: key(at), value: Value::new(value.to_vec()).unwrap() },
                OpRef::Delete { key: at } => Op::Delete { key: key(at) },
                OpRef::DeleteRange { start, end } => Op::DeleteRange { start: key(start), end: key(end) },
            });
        }
    }
}

/// What can be read of a state.
#[derive(Clone, Debug)]
pub(crate) struct SimView(pub(crate) Arc<Content>);

impl View for SimView {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError> {
        self.0.data.get(key, value)
    }

    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError> {
        self.0.data.last_in(lower, upper, key, value)
    }

    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.0.data.scan(lower, end, visit)
    }
}

/// The state of one run. Clones share it.
#[derive(Clone)]
pub(crate) struct SimState {
    run: Run,
    disk: StateDisk,
    now: Arc<Mutex<Arc<Content>>>,
}

impl SimState {
    pub(crate) fn open(run: Run, disk: StateDisk) -> Self {
        let now = disk.content();
        run.witness.see(&Event::Opened { run: &run, head: now.head });
        Self { run, disk, now: Arc::new(Mutex::new(now)) }
    }

    pub(crate) fn content(&self) -> Arc<Content> {
        Arc::clone(&self.now.lock().unwrap())
    }

    fn check_power(&self) -> Result<(), StoreError> {
        if self.run.power.is_on() { Ok(()) } else { Err(StoreError::Stopped { path: PathBuf::new() }) }
    }
}

impl fmt::Debug for SimState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "state of {:?}", self.run)
    }
}

impl State for SimState {
    type View = SimView;
    type Snapshot = Arc<Content>;

    fn head(&self) -> Head {
        self.content().head
    }

    fn applied(&self) -> Option<Bytes> {
        self.content().applied.clone()
    }

    fn membership(&self) -> Option<Bytes> {
        self.content().membership.clone()
    }

    fn view(&self) -> SimView {
        SimView(self.content())
    }

    fn edition(view: &SimView, section: SectionId) -> Result<Edition, ViewError> {
        view.0.beside.edition(section)
    }

    fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, StoreError> {
        Ok(self.content().beside.requests.get(id).cloned())
    }

    fn apply(&self, steps: &[Step]) -> io::Result<AppliedSteps> {
        self.check_power().map_err(io::Error::other)?;
        let mut now = self.now.lock().unwrap();
        let mut content = Content::clone(&now);
        let mut applied = AppliedSteps::default();
        for step in steps {
            let log_id = decode_log_id(step.log_id.clone())?;
            let see = |command: Option<&Command>, verdict: &Verdict, head: Head| {
                self.run.witness.see(&Event::Applied { run: &self.run, log_id, command, verdict, head });
            };
            let mut verdicts = Vec::new();
            match &step.content {
                StepContent::Nothing => see(None, &Verdict::Done, content.head),
                StepContent::Membership(membership) => {
                    content.membership = Some(membership.clone());
                    see(None, &Verdict::Done, content.head);
                }
                StepContent::Command(entry) => {
                    for command in Command::read_entry(entry).map_err(io::Error::other)? {
                        let seen = command.clone();
                        let verdict = content.command(command, &mut applied.versions).map_err(io::Error::other)?;
                        see(Some(&seen), &verdict, content.head);
                        verdicts.push(verdict);
                    }
                }
            }
            content.applied = Some(step.log_id.clone());
            applied.verdicts.push(verdicts);
        }
        *now = Arc::new(content);
        if self.run.dice.one_in(FLUSH) {
            self.disk.keep(Arc::clone(&now));
        }
        Ok(applied)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.check_power()?;
        self.disk.keep(self.content());
        Ok(())
    }

    fn snapshot(&self) -> Result<StateSnapshot<Arc<Content>>, StoreError> {
        self.check_power()?;
        let content = self.content();
        Ok(StateSnapshot { applied: content.applied.clone(), membership: content.membership.clone(), content })
    }

    fn install(&self, snapshot: Arc<Content>, applied: Option<Bytes>) -> Result<(), StoreError> {
        self.check_power()?;
        if snapshot.applied != applied {
            return Err(StoreError::BadState("it stands for another log id than its snapshot".into()));
        }
        self.disk.keep(Arc::clone(&snapshot));
        *self.now.lock().unwrap() = snapshot;
        Ok(())
    }
}
