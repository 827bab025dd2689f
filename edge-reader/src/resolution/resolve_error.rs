//! Why an answer becomes SERVFAIL.

use thiserror::Error;

use crate::FindError;
use crate::resolution::Damaged;

#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Rdata(#[from] Damaged),
}

impl ResolveError {
    /// What makes no sense, if that is it.
    #[cold]
    pub(crate) fn damage(&self) -> Option<String> {
        match self {
            Self::Find(error) => error.damage(),
            Self::Rdata(_) => Some(self.to_string()),
        }
    }
}
