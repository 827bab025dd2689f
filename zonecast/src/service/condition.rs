//! What a request says the zone must be for it to be done: conditional writes (RFC 9110 section 13).

use std::fmt;

use zonecast_builder::{last_change, zone_info, zone_sections};
use zonecast_kv_proto::View;
use zonecast_kv_store::StateView;
use zonecast_records::{Name, ZoneId};

use super::ServiceError;

/// Which zone it is and how often it was changed.
///
/// What follows the target of an alias at the apex is a part of the change before it: who writes need not know of it, and
/// who reads must. So all that a zone says and answers is the same only where the editions are equal, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChangeTag {
    /// A zone that is deleted and made again has another.
    pub id: u64,
    /// Number of its last change, 0 before the first.
    pub change: u64,
    /// Of what is published of it; only of reads.
    pub edition: Option<u64>,
}

/// A tag of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// As a read gave it.
    Tag(ChangeTag),
    /// The number of the last change, whichever zone it is.
    Change(u64),
    /// Nothing that we ever gave.
    Foreign,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Condition {
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
pub(crate) struct Tagged<T> {
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
    pub(crate) fn read(view: &dyn View, apex: &Name) -> Result<Option<Self>, ServiceError> {
        let Some(zone) = zone_info(view, apex)? else { return Ok(None) };
        let id = zone.identity.id;
        Ok(Some(Self { id: id.get(), change: last_change(view, id)?, edition: None }))
    }

    /// The same for who reads it.
    ///
    /// # Errors
    /// There is no such zone, or the store could not be read.
    pub(crate) fn of_read(view: &StateView, apex: &Name) -> Result<Self, ServiceError> {
        let tag = Self::read(view, apex)?.ok_or_else(|| ServiceError::no_zone(apex))?;
        let [published, _] = zone_sections(ZoneId::new(tag.id));
        let edition = view.edition(published).map_err(ServiceError::internal)?;
        Ok(Self { edition: Some(edition.get()), ..tag })
    }
}

impl fmt::Display for ChangeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, change, edition } = self;
        match edition {
            Some(edition) => write!(f, "\"{id}-{change}-{edition}\""),
            None => write!(f, "\"{id}-{change}\""),
        }
    }
}

impl Wanted {
    /// What stands between the quotes.
    pub(crate) fn parse(text: &str) -> Self {
        let number = |text: &str| {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain)
        };
        let parts: Vec<Option<u64>> = text.splitn(4, '-').map(number).collect();
        match parts[..] {
            [Some(change)] => Self::Change(change),
            [Some(id), Some(change)] => Self::Tag(ChangeTag { id, change, edition: None }),
            [Some(id), Some(change), edition @ Some(_)] => Self::Tag(ChangeTag { id, change, edition }),
            _ => Self::Foreign,
        }
    }

    /// Whether a zone is there. Who changes it need not know its edition; what was read is the same at equal ones only.
    fn is(self, tag: ChangeTag) -> bool {
        match self {
            Self::Tag(wanted) if tag.edition.is_none() => (wanted.id, wanted.change) == (tag.id, tag.change),
            Self::Tag(wanted) => wanted == tag,
            Self::Change(change) => tag.edition.is_none() && change == tag.change,
            Self::Foreign => false,
        }
    }
}

impl Condition {
    /// Whether it holds of a zone that is there, or of none.
    pub(crate) fn holds(&self, tag: Option<ChangeTag>) -> bool {
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
    pub(crate) fn check(&self, view: &dyn View, apex: &Name) -> Result<(), ServiceError> {
        if *self == Self::Any {
            return Ok(());
        }
        let tag = ChangeTag::read(view, apex)?;
        if self.holds(tag) { Ok(()) } else { Err(ServiceError::moved(apex, tag)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_reads_as_it_was_written_and_nothing_else_does() {
        let tag = ChangeTag { id: 5, change: 42, edition: None };
        assert_eq!(tag.to_string(), "\"5-42\"");
        assert_eq!(Wanted::parse("5-42"), Wanted::Tag(tag));
        let read = ChangeTag { edition: Some(7), ..tag };
        assert_eq!(read.to_string(), "\"5-42-7\"");
        assert_eq!(Wanted::parse("5-42-7"), Wanted::Tag(read));
        assert_eq!(Wanted::parse("42"), Wanted::Change(42));
        for foreign in
            ["", "-", "5-", "-42", "+42", "5-42-", "5-42-1-", "5-42-1-1", "x", " 42", "99999999999999999999", "5-+2"]
        {
            assert_eq!(Wanted::parse(foreign), Wanted::Foreign, "{foreign:?}");
        }
    }

    #[test]
    fn conditions_hold_where_they_should() {
        let here = Some(ChangeTag { id: 5, change: 42, edition: None });
        let at = |text: &[&str]| Condition::At(text.iter().map(|text| Wanted::parse(text)).collect());
        let not_at = |text: &[&str]| Condition::NotAt(text.iter().map(|text| Wanted::parse(text)).collect());
        let both = |condition: Condition| (condition.holds(here), condition.holds(None));
        assert_eq!(both(Condition::Any), (true, true));
        assert_eq!(both(Condition::Exists), (true, false));
        assert_eq!(both(Condition::Absent), (false, true));
        assert_eq!(both(at(&["41", "5-42"])), (true, false));
        assert_eq!(both(at(&["42"])), (true, false));
        assert_eq!(both(at(&["5-41", "6-42", "x"])), (false, false));
        assert_eq!(both(not_at(&["5-42"])), (false, true));
        assert_eq!(both(not_at(&["5-41"])), (true, true));
        // A write holds whatever has been published since; a read that has the same need not be sent.
        assert_eq!(both(at(&["5-42-6"])), (true, false));
        let read = Some(ChangeTag { id: 5, change: 42, edition: Some(7) });
        assert!(!not_at(&["5-42-7"]).holds(read));
        for other in ["5-42-6", "5-42", "42", "5-41-7", "x"] {
            assert!(not_at(&[other]).holds(read), "{other}");
        }
    }
}
