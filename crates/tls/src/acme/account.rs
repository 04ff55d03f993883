//! The account at the authority: made once, kept, used again.

use instant_acme::{Account, AccountCredentials, NewAccount};

use super::Acme;
use crate::{Error, disk};

impl Acme {
    /// The account that is kept, or a new one.
    pub(super) async fn account(&self) -> Result<Account, Error> {
        let builder = match &self.ca_root {
            Some(path) => Account::builder_with_root(path)?,
            None => Account::builder()?,
        };
        let path = self.place("account.json");
        let reading = path.clone();
        let kept = tokio::task::spawn_blocking(move || disk::read_if_there(&reading)).await;
        let kept = kept.map_err(|stopped| Error::Unusable {
            what: path.display().to_string(),
            reason: stopped.to_string(),
        })??;
        if let Some(credentials) =
            kept.and_then(|text| serde_json::from_str::<AccountCredentials>(&text).ok())
        {
            return Ok(builder.from_credentials(credentials).await?);
        }
        let contact: Vec<_> = self.email.iter().map(|email| format!("mailto:{email}")).collect();
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = builder.create(&wanted, self.directory.clone(), None).await?;
        let text = serde_json::to_string(&credentials).map_err(|error| Error::Unusable {
            what: "the account at the authority".into(),
            reason: error.to_string(),
        })?;
        let shown = path.clone();
        tokio::task::spawn_blocking(move || disk::keep(&path, text.as_bytes()))
            .await
            .map_err(|stopped| Error::Unusable {
                what: shown.display().to_string(),
                reason: stopped.to_string(),
            })??;
        Ok(account)
    }
}
