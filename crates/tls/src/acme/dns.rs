//! DNS-01: who sets the TXT record, and that it goes again.
//!
//! Shape: a [`Record`] is there from `set` to `remove`. Source: RFC 8555 section 8.4.

use std::path::PathBuf;

use super::hook;
use super::rfc2136::Rfc2136;
use crate::Error;

/// Who sets and removes TXT records.
#[derive(Clone, Debug)]
pub enum Dns {
    /// A command of the operator: `COMMAND present|cleanup NAME VALUE`.
    Hook(PathBuf),
    /// The zone's own server, by dynamic update.
    Update(Box<Rfc2136>),
}

/// A record that is set, and removed by `remove`.
pub(super) struct Record {
    dns: Dns,
    name: String,
    value: String,
}

impl Record {
    pub(super) async fn set(dns: &Dns, host: &str, value: String) -> Result<Self, Error> {
        let record = Self {
            dns: dns.clone(),
            name: format!("_acme-challenge.{host}"),
            value,
        };
        match &record.dns {
            Dns::Hook(command) => hook::call(command, "present", &record.name, &record.value).await?,
            Dns::Update(server) => server.add(&record.name, &record.value).await?,
        }
        Ok(record)
    }

    pub(super) async fn remove(self) {
        let outcome = match &self.dns {
            Dns::Hook(command) => hook::call(command, "cleanup", &self.name, &self.value).await,
            Dns::Update(server) => server.remove(&self.name, &self.value).await.map_err(Into::into),
        };
        if let Err(error) = outcome {
            tracing::warn!(code = error.code(), "{} stays behind: {error}", self.name);
        }
    }
}
