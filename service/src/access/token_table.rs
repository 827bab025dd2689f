//! The tokens of the applied state in memory, for every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use zonecast_kv_core::Core;
use zonecast_kv_proto::Edition;

use super::{ACCESS, Secret, SecretHash, Token, read_tokens};
use crate::error::ServiceError;

/// The tokens of this voter's applied state. A look at it takes no lock and reads no disk.
#[derive(Debug, Default)]
pub struct TokenTable {
    present: ArcSwap<Present>,
    /// Held by who reads the store, so that an older state never takes the place of a newer one.
    refreshing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Present {
    edition: Edition,
    tokens: HashMap<SecretHash, Arc<Token>>,
}

impl TokenTable {
    /// The token with this text, expired or not.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<Arc<Token>> {
        let hash = Secret::parse(token)?.hash();
        self.present.load().tokens.get(&hash).cloned()
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Token>> {
        let mut all: Vec<_> = self.present.load().tokens.values().cloned().collect();
        all.sort_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// Takes over what is applied now. Reads the disk.
    pub(crate) fn refresh(&self, core: &Core) -> Result<(), ServiceError> {
        let _turn = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let view = core.view();
        let edition = view.edition(ACCESS).map_err(ServiceError::internal)?;
        if edition == self.present.load().edition {
            return Ok(());
        }
        let tokens = read_tokens(&view)?.into_iter().map(|token| (*token.hash(), Arc::new(token))).collect();
        self.present.store(Arc::new(Present { edition, tokens }));
        Ok(())
    }
}
