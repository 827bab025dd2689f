//! What is spoken on a connection: the dialler names it in the handshake (ALPN), and the listener serves by it.

use crate::Role;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A follower and its publisher.
    FanOut,
    /// The voters of a cluster among themselves.
    Core,
}

impl Protocol {
    /// All of them; a listener takes the first that the dialler offers.
    const ALL: [Self; 2] = [Self::FanOut, Self::Core];

    /// Its name in the handshake, with the version of what is sent.
    pub(crate) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::FanOut => b"zonecast-fan-out/1",
            Self::Core => b"zonecast-core/1",
        }
    }

    /// Those that a node of this role listens for.
    pub(crate) fn offered_by(role: Role) -> Vec<Vec<u8>> {
        let offered = Self::ALL.into_iter().filter(|protocol| *protocol != Self::Core || role == Role::Core);
        offered.map(|protocol| protocol.alpn().to_vec()).collect()
    }

    /// Whether a node of this role may dial with it.
    pub(crate) fn may_be_dialled_by(self, role: Role) -> bool {
        match self {
            Self::FanOut => role.may_subscribe(),
            Self::Core => role == Role::Core,
        }
    }

    /// Whether a node of this role may be dialled with it.
    pub(crate) fn may_be_served_by(self, role: Role) -> bool {
        match self {
            Self::FanOut => role.serves(),
            Self::Core => role == Role::Core,
        }
    }

    /// What the handshake of a connection has agreed on.
    pub(crate) fn of(connection: &quinn::Connection) -> Option<Self> {
        let agreed = connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?.protocol?;
        Self::ALL.into_iter().find(|protocol| protocol.alpn() == agreed)
    }
}
