//! Whether all nodes hold the same: the part of the client for `/v1/verifications`.

use super::{Client, PATIENCE};
use crate::ClientError;
use crate::types::VerificationInfo;

impl Client {
    /// Begins to compare all nodes, unless that is under way; says how it stands.
    ///
    /// # Errors
    /// No answer, or the core cannot commit.
    pub fn begin_verification(&self) -> Result<VerificationInfo, ClientError> {
        self.at_one(|core| {
            let request = core.agent.post(core.url("/v1/verifications", &[]));
            core.written(request.config().timeout_global(Some(PATIENCE)).build().send_empty())
        })
    }

    /// How the last comparison of all nodes stands.
    ///
    /// # Errors
    /// No answer.
    pub fn verification(&self) -> Result<VerificationInfo, ClientError> {
        self.get("/v1/verifications", &[])
    }
}
