//! A run of versions that change nothing that a filter holds, in one frame: of each there is its time, and the ids and
//! hashes of its sections.
//!
//! Whoever gets it computes the chain over the run and compares it with that of the last version. So a node that holds
//! little costs its publisher a frame now and then, and stands at every version all the same.

use crate::{Chain, Epoch, OmittedSection, Position, Published, PublishedError, Version, positional};

/// Most versions of a run.
pub const MAX_SKIPPED: usize = 256;

/// Most sections of a version in a run; one with more of them goes alone. So a frame that claims as much as it can is less
/// than a megabyte in memory.
pub const MAX_SKIPPED_SECTIONS: usize = 64;

/// Most bytes of a run, as sections count: a fragment of a large message has more.
const MAX_RUN_LEN: usize = 128 * 1024;

positional! {
    /// A version of a run.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct SkippedVersion {
        /// As in [`Published`].
        pub time_us: u64,
        /// All of its sections.
        pub omitted: Vec<OmittedSection> where len <= MAX_SKIPPED_SECTIONS,
    }
}

positional! {
    /// Versions one after the other of which all sections are left out.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct SkippedRun {
        /// History that they belong to.
        pub epoch: Epoch,
        /// The number of the first.
        pub first: Version,
        /// Chain at the last.
        pub chain: Chain,
        /// At least one.
        pub versions: Vec<SkippedVersion> where len <= MAX_SKIPPED,
    }
}

impl SkippedRun {
    /// The versions, which follow a position.
    ///
    /// # Errors
    /// They do not follow it, there are none, or the chain is another one.
    pub fn versions_after(&self, position: &Position) -> Result<Vec<Published>, PublishedError> {
        let gap = || PublishedError::Gap { after: *position, epoch: self.epoch, version: self.first };
        if self.epoch != position.epoch || Some(self.first) != position.version.next() || self.versions.is_empty() {
            return Err(gap());
        }
        let (mut here, mut versions) = (*position, Vec::with_capacity(self.versions.len()));
        for skipped in &self.versions {
            let next = Published::of_omitted(&here, skipped.time_us, skipped.omitted.clone()).ok_or_else(gap)?;
            next.check_omitted()?;
            here = next.next_after(&here).ok_or_else(gap)?;
            versions.push(next);
        }
        if here.chain != self.chain {
            return Err(PublishedError::Chain { version: here.version, found: self.chain, computed: here.chain });
        }
        Ok(versions)
    }
}

/// Puts versions together that can be in one run.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    run: SkippedRun,
    bytes: usize,
}

impl Runs {
    /// Whether a version can be in a run.
    pub(crate) fn takes(version: &Published) -> bool {
        version.sections.is_empty() && version.restore().is_none() && version.omitted.len() <= MAX_SKIPPED_SECTIONS
    }

    /// Adds the next version, which can be in a run; gives the run before it, if there is no more room in that.
    pub(crate) fn push(&mut self, version: Published) -> Option<SkippedRun> {
        let bytes = (1 + version.omitted.len()) * crate::SECTION_OVERHEAD;
        let is_full = self.run.versions.len() == MAX_SKIPPED || self.bytes + bytes > MAX_RUN_LEN;
        let full = if is_full || self.run.epoch != version.epoch { self.take() } else { None };
        if self.run.versions.is_empty() {
            (self.run.epoch, self.run.first) = (version.epoch, version.version);
        }
        self.bytes += bytes;
        self.run.chain = version.chain;
        self.run.versions.push(SkippedVersion { time_us: version.time_us, omitted: version.omitted });
        full
    }

    /// The run that is not full yet, if there is one.
    pub(crate) fn take(&mut self) -> Option<SkippedRun> {
        self.bytes = 0;
        Some(std::mem::take(&mut self.run)).filter(|run| !run.versions.is_empty())
    }
}
