//! Why a request on zones or records is not done.

use thiserror::Error;
use zonecast_keyspaces::KeyspaceError;
use zonecast_records::Name;

use zonecast_api::types::Finding;

/// Why a request on zones or records failed.
#[derive(Clone, Debug, Error)]
pub enum ServiceError {
    /// Not hosted here.
    #[error("zone {0} is not hosted here")]
    NoZone(String),
    /// Not deleted lately.
    #[error(
        "there is no deleted zone {0}: the core keeps deleted zones for a while only, \
         `zonecast zone list --deleted` shows them"
    )]
    NotDeleted(String),
    /// No edge of this name in this process.
    #[error(
        "no edge {0:?} runs in the process of this core: ask the edge itself (`--core` with its URL), or `--at core`"
    )]
    NoEdge(String),
    /// Nobody waits for it.
    #[error("{0} is not expected; `zonecast edges list` shows the expected edges")]
    NotExpected(String),
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// What it asks for cannot be served; nothing has changed.
    #[error("{message}")]
    Refused {
        /// One line.
        message: String,
        /// Where and why.
        findings: Vec<Finding>,
    },
    /// It would do what is hardly meant, and does not say that it is; nothing has changed.
    #[error("{0}")]
    Held(String),
    /// Somebody replaces the zone.
    #[error("zone {0} is being replaced, retry")]
    Busy(String),
    /// Somebody else changed the zone or keyspace in between.
    #[error("another request changed the same in the meantime, retry: {0}")]
    Overtaken(String),
    /// The zone is not where the request wants it to be; nothing has changed.
    #[error(
        "the condition of the request does not hold, because zone {zone} is {present}; nothing has changed: read the \
         zone again and repeat the request"
    )]
    Moved {
        /// Which.
        zone: String,
        /// Where it is.
        present: String,
    },
    /// The idempotency key was used for another request; nothing has changed.
    #[error("the idempotency key was used for another request; nothing has changed")]
    KeyReused,
    /// The idempotency key was made too long ago, or later than now: this request was not done.
    #[error("{message}; this request was not done: make a new key, and look at the clock of the client")]
    KeyTime {
        /// What is wrong with the time of the key.
        message: String,
        /// What time it is here, milliseconds of Unix time.
        store_ms: Option<u64>,
    },
    /// The records of idempotency keys are at their limit; nothing has changed.
    #[error("too many idempotency keys are kept, retry later; nothing has changed")]
    TooManyKeys,
    /// Not done with a keyspace.
    #[error(transparent)]
    Keyspace(Box<KeyspaceError>),
    /// What is asked for is not in the batch log any more.
    #[error(
        "what changed after version {0} is not kept any more: read the keys, and go on from the version of that read"
    )]
    Gone(u64),
    /// Too much is proposed and not applied yet.
    #[error("too many changes wait to be applied, retry in a moment")]
    Overloaded,
    /// There is no token of this name.
    #[error("there is no token {0:?}; `zonecast token list` shows which ones there are")]
    NoToken(String),
    /// No core of this name asks to join, or is there.
    #[error("{0}")]
    NoCore(String),
    /// The cluster would become what it must not be; nothing has changed.
    #[error("{0}; nothing has changed")]
    Membership(String),
    /// Another core leads, or none does; nothing has changed.
    #[error("{}; nothing has changed", match leader {
        Some(leader) => format!("this core does not lead, {leader} does"),
        None => "no core leads at the moment".to_owned(),
    })]
    NotLeader {
        /// Who does, and where the other cores reach it, if it is known.
        leader: Option<String>,
    },
    /// The membership cannot be changed at this moment.
    #[error("{0}")]
    NotNow(String),
    /// The core cannot commit now; nothing has changed.
    #[error("the core cannot commit: {0}; nothing has changed")]
    Unavailable(String),
    /// The core stopped while the change was on its way.
    #[error("it is not known whether the core committed the change: {0}; read the zone before you repeat the request")]
    Unknown(String),
    /// A store that cannot be read, or a broken invariant.
    #[error("{0}")]
    Internal(String),
}

impl From<KeyspaceError> for ServiceError {
    fn from(error: KeyspaceError) -> Self {
        match error {
            KeyspaceError::View(_) | KeyspaceError::Damaged { .. } => Self::internal(error),
            KeyspaceError::Malformed(message) => Self::BadRequest(message),
            error => Self::Keyspace(Box::new(error)),
        }
    }
}

impl ServiceError {
    /// A request that makes no sense.
    pub fn bad(message: impl ToString) -> Self {
        Self::BadRequest(message.to_string())
    }

    /// A store that cannot be read, or a broken invariant.
    pub fn internal(message: impl ToString) -> Self {
        Self::Internal(message.to_string())
    }

    /// Not hosted here.
    pub fn no_zone(zone: &Name) -> Self {
        Self::NoZone(zone.to_string())
    }

    /// Somebody replaces the zone.
    pub fn busy(zone: &Name) -> Self {
        Self::Busy(zone.to_string())
    }

    /// A zone or change that breaks a rule.
    pub fn refused(message: impl ToString, findings: Vec<Finding>) -> Self {
        Self::Refused { message: message.to_string(), findings }
    }
}
