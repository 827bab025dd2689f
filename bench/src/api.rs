//! The few calls of the API that measuring needs.

use anyhow::Context as _;
use serde_json::{Value, json};

/// A client of one core; keeps its connection.
pub(crate) struct Api {
    agent: ureq::Agent,
    base: String,
}

impl Api {
    /// A client of the API at `address`.
    pub(crate) fn new(address: &str) -> Self {
        let base = if address.starts_with("http") { address.to_owned() } else { format!("http://{address}") };
        Self { agent: ureq::Agent::new_with_defaults(), base }
    }

    /// Sets an RRset of one record; answers with the version of the change.
    pub(crate) fn set(&self, zone: &str, name: &str, rtype: &str, ttl: u32, data: &str) -> anyhow::Result<u64> {
        let url = format!("{}/v1/zones/{zone}/records/{name}/{rtype}", self.base);
        let body = json!({ "ttl": ttl, "data": [data] });
        let mut response = self.agent.put(&url).send_json(body).with_context(|| format!("PUT {url}"))?;
        let answer: Value = response.body_mut().read_json()?;
        answer.get("version").and_then(Value::as_u64).with_context(|| format!("no version in {answer}"))
    }
}
