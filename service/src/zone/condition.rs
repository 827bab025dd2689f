//! Conditional writes (RFC 9110 section 13): the state of the zone that a request requires.

use std::fmt;

use zonecast_builder::{LastChange, zone_info, zone_sections};
use zonecast_kv_proto::View;
use zonecast_kv_store::StateView;
use zonecast_records::{Name, ZoneId};

use crate::error::ServiceError;

/// Which zone it is and how often it was changed.
///
/// What follows the target of an alias at the apex is a part of the change before it: who writes need not know of it, and
/// who reads must. So all that a zone says and answers is the same only where the editions are equal, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeTag {
    /// A zone that is deleted and made again has another.
    pub id: u64,
    /// Number of its last change, 0 before the first.
    pub change: u64,
    /// Of what the zone was made of, and when that change was: a core that was restored to an older state gives ids and
    /// numbers once more.
    pub stamp: u32,
    /// Of what is published of it; only of reads.
    pub edition: Option<u64>,
}

/// A tag of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// As a read gave it.
    Tag(ChangeTag),
    /// The number of the last change, whichever zone it is.
    Change(u64),
    /// Nothing that we ever gave.
    Foreign,
}

/// The condition of a write: the state that the zone must have for the write to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// None.
    #[default]
    Any,
    /// There is such a zone.
    Exists,
    /// There is none.
    Absent,
    /// It is at one of these.
    At(Vec<Wanted>),
    /// It is at none of these.
    NotAt(Vec<Wanted>),
}

/// Something that was read of a zone, and where that was when it was read.
#[derive(Clone, Debug)]
pub struct Tagged<T> {
    /// What was read.
    pub value: T,
    /// Of the zone.
    pub tag: ChangeTag,
}

impl ChangeTag {
    /// Where a zone is for who changes it, if there is one.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn read(view: &dyn View, apex: &Name) -> Result<Option<Self>, ServiceError> {
        let Some(zone) = zone_info(view, apex)? else { return Ok(None) };
        let id = zone.identity.id;
        let LastChange { number: change, time } = LastChange::read(view, id)?;
        let hash = blake3::hash(&[&zone.origin[..], &time.to_be_bytes()].concat());
        let stamp = hash.as_bytes().first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        Ok(Some(Self { id: id.get(), change, stamp, edition: None }))
    }

    /// The same for who reads it.
    ///
    /// # Errors
    /// There is no such zone, or the store could not be read.
    pub fn of_read(view: &StateView, apex: &Name) -> Result<Self, ServiceError> {
        let tag = Self::read(view, apex)?.ok_or_else(|| ServiceError::no_zone(apex))?;
        let [published, _] = zone_sections(ZoneId::new(tag.id));
        let edition = view.edition(published).map_err(ServiceError::internal)?;
        Ok(Self { edition: Some(edition.get()), ..tag })
    }
}

impl fmt::Display for ChangeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, change, stamp, edition } = self;
        match edition {
            Some(edition) => write!(f, "\"{id}-{change}-{stamp:08x}-{edition}\""),
            None => write!(f, "\"{id}-{change}-{stamp:08x}\""),
        }
    }
}

impl Wanted {
    /// What stands between the quotes.
    pub fn parse(text: &str) -> Self {
        let number = |text: &str| {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain)
        };
        let stamp = |text: &str| {
            let is_hex = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            u32::from_str_radix(text, 16).ok().filter(|_| is_hex)
        };
        let parts: Vec<&str> = text.splitn(5, '-').collect();
        let tag = match parts[..] {
            [change] => return number(change).map_or(Self::Foreign, Self::Change),
            [id, change, of] => Some((number(id), number(change), stamp(of), Some(None))),
            [id, change, of, edition] => Some((number(id), number(change), stamp(of), number(edition).map(Some))),
            _ => None,
        };
        match tag {
            Some((Some(id), Some(change), Some(stamp), Some(edition))) => {
                Self::Tag(ChangeTag { id, change, stamp, edition })
            }
            _ => Self::Foreign,
        }
    }

    /// Whether a zone is there. Who changes it need not know its edition; what was read is the same at equal ones only.
    fn is(self, tag: ChangeTag) -> bool {
        match self {
            Self::Tag(wanted) if tag.edition.is_none() => ChangeTag { edition: None, ..wanted } == tag,
            Self::Tag(wanted) => wanted == tag,
            Self::Change(change) => tag.edition.is_none() && change == tag.change,
            Self::Foreign => false,
        }
    }
}

impl Condition {
    /// Whether it holds of a zone that is there, or of none.
    pub fn holds(&self, tag: Option<ChangeTag>) -> bool {
        match self {
            Self::Any => true,
            Self::Exists => tag.is_some(),
            Self::Absent => tag.is_none(),
            Self::At(wanted) => tag.is_some_and(|tag| wanted.iter().any(|wanted| wanted.is(tag))),
            Self::NotAt(wanted) => !tag.is_some_and(|tag| wanted.iter().any(|wanted| wanted.is(tag))),
        }
    }

    /// Looks whether it holds. Called where the change is built, so that it holds when the change is committed.
    ///
    /// # Errors
    /// It does not, or the store could not be read.
    pub fn check(&self, view: &dyn View, apex: &Name) -> Result<(), ServiceError> {
        if *self == Self::Any {
            return Ok(());
        }
        let tag = ChangeTag::read(view, apex)?;
        if self.holds(tag) {
            return Ok(());
        }
        let present = tag.map_or_else(|| "not there".into(), |tag| format!("at change {tag}"));
        Err(ServiceError::Moved { zone: apex.to_string(), present })
    }
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Rtype;
    use zonecast_builder::{
        Change, ChangeKind, ChangeNote, Location, RrsetChange, SerialTime, Settings, ZoneIdentity, ZoneSource,
        record_build,
    };
    use zonecast_kv_proto::MemoryView;
    use zonecast_records::{Generation, RecordRef, ZoneId};

    use super::*;

    #[test]
    fn a_tag_reads_as_it_was_written_and_nothing_else_does() {
        let tag = ChangeTag { id: 5, change: 42, stamp: 0xa1b2, edition: None };
        assert_eq!(tag.to_string(), "\"5-42-0000a1b2\"");
        assert_eq!(Wanted::parse("5-42-0000a1b2"), Wanted::Tag(tag));
        let read = ChangeTag { edition: Some(7), ..tag };
        assert_eq!(read.to_string(), "\"5-42-0000a1b2-7\"");
        assert_eq!(Wanted::parse("5-42-0000a1b2-7"), Wanted::Tag(read));
        assert_eq!(Wanted::parse("42"), Wanted::Change(42));
        for foreign in [
            "",
            "-",
            "5-",
            "-42",
            "+42",
            "5-42",
            "5-42-1",
            "5-42-0000A1B2",
            "5-42-+000a1b2",
            "5-42-0000a1b2-",
            "5-42-0000a1b2-7-",
            "5-42-0000a1b2-+7",
            "x",
            " 42",
            "99999999999999999999",
            "5-+2-0000a1b2",
        ] {
            assert_eq!(Wanted::parse(foreign), Wanted::Foreign, "{foreign:?}");
        }
    }

    #[test]
    fn conditions_hold_where_they_should() {
        let here = Some(ChangeTag { id: 5, change: 42, stamp: 7, edition: None });
        let at = |text: &[&str]| Condition::At(text.iter().map(|text| Wanted::parse(text)).collect());
        let not_at = |text: &[&str]| Condition::NotAt(text.iter().map(|text| Wanted::parse(text)).collect());
        let both = |condition: Condition| (condition.holds(here), condition.holds(None));
        assert_eq!(both(Condition::Any), (true, true));
        assert_eq!(both(Condition::Exists), (true, false));
        assert_eq!(both(Condition::Absent), (false, true));
        assert_eq!(both(at(&["41", "5-42-00000007"])), (true, false));
        assert_eq!(both(at(&["42"])), (true, false));
        assert_eq!(both(at(&["5-41-00000007", "6-42-00000007", "5-42-00000008", "x"])), (false, false));
        assert_eq!(both(not_at(&["5-42-00000007"])), (false, true));
        assert_eq!(both(not_at(&["5-41-00000007"])), (true, true));
        // A write holds whatever has been published since; a read that has the same need not be sent.
        assert_eq!(both(at(&["5-42-00000007-6"])), (true, false));
        let read = Some(ChangeTag { id: 5, change: 42, stamp: 7, edition: Some(7) });
        assert!(!not_at(&["5-42-00000007-7"]).holds(read));
        for other in ["5-42-00000007-6", "5-42-00000008-7", "5-42-00000007", "42", "5-41-00000007-7", "x"] {
            assert!(not_at(&[other]).holds(read), "{other}");
        }
    }

    /// A zone of id 5 that was made of this text, and its one change at this time, if there is one.
    fn store(text: &str, changed_at: Option<u64>) -> MemoryView {
        let mut source = ZoneSource::new(apex());
        let soa = [&b"\x01m\x00\x01r\x00"[..], &[0; 20]].concat();
        for (rtype, rdata) in [(Rtype::SOA, &soa[..]), (Rtype::NS, b"\x02ns\x00")] {
            source.push(RecordRef { owner: &apex(), rtype, ttl: 60, rdata }, Location::new(0));
        }
        let identity = ZoneIdentity { id: ZoneId::new(5), generation: Generation::new(6) };
        let build = source.build(identity, &Settings::with_origin(text)).unwrap();
        let mut view = MemoryView::new();
        build.into_batches(usize::MAX).for_each(|batch| view.apply(&batch));
        if let Some(time) = changed_at {
            let add =
                Change::Rrset(RrsetChange::Add { owner: apex(), rtype: Rtype::TXT, ttl: 60, rdata: b"\x01x".to_vec() });
            let mut done = record_build(&view, &apex(), &[add], SerialTime::default()).unwrap();
            let note = ChangeNote { kind: ChangeKind::Records, time, by: "test", keep_since: 0 };
            done.undo.remember(&view, &mut done.batch, note).unwrap();
            view.apply(&done.batch);
        }
        view
    }

    fn apex() -> Name {
        "example".parse().unwrap()
    }

    #[test]
    fn a_tag_from_before_a_restore_is_not_taken_for_one_after_it() {
        let tag = |text, changed_at| ChangeTag::read(&store(text, changed_at), &apex()).unwrap().unwrap();
        let numbers = |tag: ChangeTag| (tag.id, tag.change);
        for [before, after] in [[("one", Some(7)), ("one", Some(8))], [("one", None), ("other", None)]] {
            let [before, again, after] = [before, before, after].map(|(text, changed_at)| tag(text, changed_at));
            assert_eq!((before, numbers(before)), (again, numbers(after)));
            assert!(!Condition::At(vec![Wanted::Tag(before)]).holds(Some(after)));
        }
    }
}
