//! The account at the authority: made once, kept, used again.

use instant_acme::{Account, AccountCredentials, NewAccount};

use super::Acme;
use super::authority::ANSWER;
use crate::{Error, disk};

impl Acme {
    /// The account that is kept, or a new one.
    pub(super) async fn account(&self) -> Result<Account, Error> {
        const DOING: &str = "asking for an account";
        let builder = async {
            match &self.ca_root {
                Some(path) => Account::builder_with_root(path),
                None => Account::builder(),
            }
        };
        let builder = self.ask(DOING, ANSWER, builder).await?;
        let path = self.place("account.json");
        let kept = blocking(move || disk::read_if_there(&path)).await?;
        if let Some(credentials) =
            kept.and_then(|text| serde_json::from_str::<AccountCredentials>(&text).ok())
        {
            return self
                .ask(DOING, ANSWER, builder.from_credentials(credentials))
                .await;
        }
        let contact: Vec<_> = self.email.iter().map(|email| format!("mailto:{email}")).collect();
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let making = builder.create(&wanted, self.directory.clone(), None);
        let (account, credentials) = self.ask(DOING, ANSWER, making).await?;
        let text = serde_json::to_string(&credentials).map_err(|error| Error::Unusable {
            what: "the account at the authority".into(),
            reason: error.to_string(),
        })?;
        let path = self.place("account.json");
        blocking(move || disk::keep(&path, text.as_bytes())).await?;
        Ok(account)
    }

    /// Takes an account that the authority does not know any more out of the way; whether there was one.
    pub(super) async fn forget_account(&self) -> bool {
        let path = self.place("account.json");
        blocking(move || {
            let there = path.exists();
            disk::set_aside(&path).map(|()| there)
        })
        .await
        .unwrap_or(false)
    }
}

/// Disk work away from the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| {
        Err(Error::Unusable {
            what: "the folder of certificates".into(),
            reason: stopped.to_string(),
        })
    })
}
