//! The newest versions, encoded for the wire once and shared by every downstream that keeps up.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::{Path, Position, Version};

/// A dense run of versions that ends at the head, within a number of bytes.
#[derive(Debug)]
pub struct Tail {
    head: Position,
    /// Frames of the versions up to and with the head, and when each came.
    frames: VecDeque<(Bytes, Duration)>,
    bytes: usize,
    max_bytes: usize,
    confirmed: Confirmation,
    /// The way that versions take to it, and how often that has changed.
    path: Path,
    paths: u64,
}

/// When a majority last confirmed that nothing is missing at the end of a tail.
#[derive(Clone, Copy, Debug)]
enum Confirmation {
    /// Nobody needs to.
    NotNeeded,
    /// It was never said.
    Unknown,
    At(Duration),
}

/// The result of reading from a [`Tail`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailRead {
    /// The downstream has every version already.
    Nothing,
    /// These next, up to and with this version; and when the first of them came.
    Frames(Vec<Bytes>, Version, Duration),
    /// The next version is not in the tail any more.
    Behind,
}

impl Tail {
    /// Empty, behind the position where the store stands.
    #[must_use]
    pub fn new(head: Position, max_bytes: usize) -> Self {
        Self {
            head,
            frames: VecDeque::new(),
            bytes: 0,
            max_bytes,
            confirmed: Confirmation::NotNeeded,
            path: Path::default(),
            paths: 0,
        }
    }

    /// Where it ends.
    #[must_use]
    pub fn head(&self) -> &Position {
        &self.head
    }

    /// Appends the frames of the version at `position`, which come `now`. A version that does not follow the head (the store has jumped,
    /// by loading a snapshot) starts a new run; one that is not beyond the head is known already.
    pub fn push(&mut self, now: Duration, position: Position, frames: Bytes) {
        if position.store == self.head.store && position.order() <= self.head.order() {
            return;
        }
        let follows = position.store == self.head.store
            && position.epoch == self.head.epoch
            && Some(position.version) == self.head.version.next();
        if !follows {
            self.frames.clear();
            self.bytes = 0;
        }
        self.bytes += frames.len();
        self.frames.push_back((frames, now));
        self.head = position;
        while self.bytes > self.max_bytes
            && let Some((oldest, _)) = self.frames.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    /// The store has jumped there, and has the versions between in its log, as far as it reaches back. At the same position
    /// it may hold something else than before, so what was kept of the versions that led there goes. A position before
    /// the head is known already.
    pub fn jump(&mut self, position: Position) {
        if position.store == self.head.store && position.order() < self.head.order() {
            return;
        }
        self.head = position;
        self.frames.clear();
        self.bytes = 0;
    }

    /// The way that versions take to the end.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number that differs from path to path.
    #[must_use]
    pub fn path_number(&self) -> u64 {
        self.paths
    }

    /// Versions come by this way from now on. Says whether that is news.
    pub fn set_path(&mut self, path: Path) -> bool {
        let is_news = self.path != path;
        if is_news {
            self.path = path;
            self.paths += 1;
        }
        is_news
    }

    /// A majority confirms `now` that nothing is missing at the end. Whoever says so once must go on to.
    pub fn confirm(&mut self, now: Duration) {
        self.confirmed = Confirmation::At(now);
    }

    /// Nobody knows when a majority last confirmed anything.
    pub fn confirm_nothing(&mut self) {
        self.confirmed = Confirmation::Unknown;
    }

    /// The time since a majority last confirmed that nothing is missing at the end; zero, where nobody needs to, and
    /// nothing where it is not known.
    #[must_use]
    pub fn unconfirmed_for(&self, now: Duration) -> Option<Duration> {
        match self.confirmed {
            Confirmation::NotNeeded => Some(Duration::ZERO),
            Confirmation::Unknown => None,
            Confirmation::At(confirmed) => Some(now.saturating_sub(confirmed)),
        }
    }

    /// The versions after `sent`, about `max_bytes` of them, at least one if there is one.
    #[must_use]
    pub fn after(&self, sent: Version, max_bytes: usize) -> TailRead {
        let Some(wanted) = self.head.version.get().checked_sub(sent.get()).filter(|wanted| *wanted > 0) else {
            return TailRead::Nothing;
        };
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let Some(first) = self.frames.len().checked_sub(wanted) else { return TailRead::Behind };
        let Some((_, since)) = self.frames.get(first) else { return TailRead::Nothing };
        let (mut bytes, mut read) = (0, Vec::new());
        for (frames, _) in self.frames.range(first..) {
            if !read.is_empty() && bytes + frames.len() > max_bytes {
                break;
            }
            bytes += frames.len();
            read.push(frames.clone());
        }
        let last = Version::new(sent.get() + read.len() as u64);
        TailRead::Frames(read, last, *since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chain, Epoch, StoreId};

    fn at(version: u64) -> Position {
        let store = StoreId::new(1);
        Position { store, epoch: Epoch::ZERO, version: Version::new(version), chain: Chain::origin(store) }
    }

    /// Each comes a second after the one before.
    fn came(version: u64) -> Duration {
        Duration::from_secs(version)
    }

    fn frames(version: u64) -> Bytes {
        Bytes::from(vec![u8::try_from(version).unwrap(); 10])
    }

    #[test]
    fn keeps_what_fits_and_says_who_is_behind() {
        let mut tail = Tail::new(at(4), 30);
        assert_eq!(tail.after(Version::new(4), 100), TailRead::Nothing);
        assert_eq!(tail.after(Version::new(3), 100), TailRead::Behind);
        (5..=9).for_each(|version| tail.push(came(version), at(version), frames(version)));
        assert_eq!(tail.after(Version::new(9), 100), TailRead::Nothing);
        assert_eq!(tail.after(Version::new(12), 100), TailRead::Nothing, "it has read the log ahead of us");
        let all = vec![frames(7), frames(8), frames(9)];
        assert_eq!(tail.after(Version::new(6), 100), TailRead::Frames(all, Version::new(9), came(7)));
        let two = vec![frames(7), frames(8)];
        assert_eq!(tail.after(Version::new(6), 25), TailRead::Frames(two, Version::new(8), came(7)));
        assert_eq!(tail.after(Version::new(7), 1), TailRead::Frames(vec![frames(8)], Version::new(8), came(8)));
        assert_eq!(tail.after(Version::new(5), 100), TailRead::Behind);
    }

    #[test]
    fn a_jump_starts_a_new_run() {
        let mut tail = Tail::new(at(4), 100);
        tail.push(came(5), at(5), frames(5));
        tail.push(came(5), at(5), frames(5));
        tail.push(came(9), at(9), frames(9));
        assert_eq!(tail.after(Version::new(4), 100), TailRead::Behind);
        assert_eq!(tail.after(Version::new(7), 100), TailRead::Behind, "version 5 does not stand in for 8");
        assert_eq!(tail.after(Version::new(8), 100), TailRead::Frames(vec![frames(9)], Version::new(9), came(9)));
    }

    #[test]
    fn after_a_jump_everybody_is_behind_and_the_next_version_follows() {
        let mut tail = Tail::new(at(4), 100);
        tail.push(came(5), at(5), frames(5));
        tail.jump(at(9));
        assert_eq!(*tail.head(), at(9));
        assert_eq!(tail.after(Version::new(4), 100), TailRead::Behind, "what is in the log of another state counts");
        assert_eq!(tail.after(Version::new(8), 100), TailRead::Behind);
        assert_eq!(tail.after(Version::new(9), 100), TailRead::Nothing);
        tail.push(came(10), at(10), frames(10));
        assert_eq!(tail.after(Version::new(9), 100), TailRead::Frames(vec![frames(10)], Version::new(10), came(10)));
        tail.jump(at(7));
        assert_eq!(*tail.head(), at(10), "it never goes back");
        assert_ne!(tail.after(Version::new(9), 100), TailRead::Behind);
        tail.jump(at(10));
        assert_eq!(tail.after(Version::new(9), 100), TailRead::Behind, "what led to another copy is not passed on");
    }

    #[test]
    fn one_version_over_the_limit_is_not_kept() {
        let mut tail = Tail::new(at(4), 5);
        tail.push(came(5), at(5), frames(5));
        assert_eq!(tail.after(Version::new(4), 100), TailRead::Behind);
        assert_eq!(tail.head().version, Version::new(5));
    }
}
