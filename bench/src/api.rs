//! The few calls of the API that measuring needs.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use zonecast_api::types::{Action, ChangeRequest, RecordChange, Written};
use zonecast_api::{Client, ClientOptions, Patience};
use zonecast_kv_transport::read_private;

/// Longest token in a file, with some space around it.
const MAX_TOKEN: u64 = 4096;

/// How to get in where a core asks who one is; the same options as those of `zonecast`.
#[derive(Args)]
pub(crate) struct Access {
    /// File with the token to show.
    #[arg(long, env = "ZONECAST_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// File with the CA certificates to trust, for a core that speaks TLS.
    #[arg(long, env = "ZONECAST_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// A client of one core; keeps its connection.
pub(crate) struct Api {
    client: Client,
}

impl Api {
    /// A client of the API at an address of this machine.
    pub(crate) fn new(address: &str) -> Self {
        let url = if address.starts_with("http") { address.to_owned() } else { format!("http://{address}") };
        Self { client: Client::new(&url) }
    }

    /// A client of the API at a URL, with what it asks for.
    pub(crate) fn with_access(url: &str, access: &Access) -> anyhow::Result<Self> {
        let mut options = ClientOptions::default();
        if let Some(file) = &access.token_file {
            options = options.token(&read_private(file, MAX_TOKEN)?)?;
        }
        if let Some(file) = &access.ca {
            options = options.ca_file(file)?;
        }
        Ok(Self { client: Client::with_options(url, options)? })
    }

    /// Sets an RRset of one record; answers with the version of the change.
    pub(crate) fn set(&self, zone: &str, name: &str, rtype: &str, ttl: u32, data: &str) -> anyhow::Result<u64> {
        let change = RecordChange {
            action: Action::Set,
            name: name.into(),
            rtype: Some(rtype.into()),
            ttl: Some(ttl),
            data: vec![data.into()],
            ..RecordChange::default()
        };
        Ok(self.change(zone, change, Patience::default())?.version)
    }

    /// Makes one change and waits as asked for.
    pub(crate) fn change(&self, zone: &str, change: RecordChange, patience: Patience) -> anyhow::Result<Written> {
        let what = format!("cannot change {} in {zone}", change.name);
        self.client.change(zone, &ChangeRequest { changes: vec![change] }, patience).context(what)
    }

    /// Makes a zone from its text, or replaces it.
    pub(crate) fn put_zone(&self, apex: &str, text: &[u8]) -> anyhow::Result<Written> {
        let put = self.client.put_zone(apex, text, &format!("{apex}.zone"), Patience::default());
        put.with_context(|| format!("cannot make zone {apex}"))
    }

    /// The present value of a metric that has no labels.
    pub(crate) fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = self.client.metrics()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.with_context(|| format!("no metric {name}"))
    }
}
