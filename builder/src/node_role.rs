//! What a name is in its zone: the apex, a zone cut, hidden or answered; and where its RRsets are therefore kept.

use domain::base::iana::Rtype;

use crate::node::NodeAt;
use crate::nsec3::Nsec3Place;

/// Where an RRset of a node is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In the zone key.
    Zone,
    /// In the address key of its node.
    Address,
    /// In the address key of its node, as part of the delegation.
    Cut,
    /// Under a key of its own.
    Rrset,
    /// In the section `glue`.
    Glue,
    /// In the section `nsec`.
    Nsec,
    /// In the section `nsec3`.
    Nsec3,
    /// In the core only.
    Hidden,
}

/// What hides a name, if something above it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Above {
    /// A zone cut: addresses here may be glue.
    Cut,
    /// A DNAME: what is asked for here ends elsewhere.
    Dname,
}

/// What decides where the RRsets of one name are kept, and whether they are answered.
#[derive(Clone, Debug)]
pub(crate) struct NodeRole {
    pub(crate) is_apex: bool,
    /// Something above it is a zone cut or has a DNAME.
    pub(crate) occluded: bool,
    /// The topmost such thing is a DNAME.
    pub(crate) below_dname: bool,
    /// Another zone that is hosted here has it.
    pub(crate) elsewhere: bool,
    /// It is a zone cut, and not occluded.
    pub(crate) cut: bool,
    /// The chain its NSEC3 records belong to.
    pub(crate) chain: Option<Nsec3Place>,
}

impl NodeRole {
    /// Of a node that is hidden by what is `above` it, if anything is; `elsewhere` if another zone that is hosted here has
    /// its name.
    pub(crate) fn new<D: AsRef<[u8]>>(at: NodeAt<'_, D>, above: Option<Above>, elsewhere: bool) -> Self {
        let is_apex = at.is_apex();
        let chain = Nsec3Place::of(at.path, at.node.of_type(Rtype::NSEC3));
        let (occluded, below_dname) = (above.is_some(), above == Some(Above::Dname));
        Self { is_apex, occluded, below_dname, elsewhere, cut: !occluded && at.node.is_cut(is_apex), chain }
    }

    /// Whether another zone that is hosted here answers for an RRset, and this one never. DS at its apex is this
    /// zone's, and so is a delegation to it.
    pub(crate) fn is_elsewhere(&self, rtype: Rtype) -> bool {
        self.elsewhere && !self.occluded && !self.cut && rtype != Rtype::DS
    }

    /// Where an RRset of it is kept.
    pub(crate) fn placement(&self, rtype: Rtype) -> Placement {
        match rtype {
            Rtype::NSEC3 if self.chain.is_some() => Placement::Nsec3,
            Rtype::NSEC3 => Placement::Hidden,
            Rtype::A | Rtype::AAAA if self.occluded || self.cut => Placement::Glue,
            Rtype::NSEC if !self.occluded => Placement::Nsec,
            Rtype::NS | Rtype::DS if self.cut => Placement::Cut,
            _ if self.occluded || self.cut => Placement::Hidden,
            Rtype::SOA | Rtype::NS if self.is_apex => Placement::Zone,
            Rtype::A | Rtype::AAAA | Rtype::CNAME => Placement::Address,
            _ => Placement::Rrset,
        }
    }
}
