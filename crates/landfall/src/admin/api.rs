//! The admin API of one server, in the types that it uses itself.
//!
//! Fails: what the server refuses keeps its code and words, with the exit code that fits; a server that does not answer is
//! exit 8, because trying again may help.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use server::api::{Document, Documented, Item, List, Problem};

use super::encode;
use crate::client::{Answer, Server, Unreachable};
use crate::failure::Failure;
use crate::output;

/// Longest wait for an answer: a turn of the collector, or a check of everything, takes its time.
const LIMIT: Duration = Duration::from_mins(30);

/// A server, and who asks it.
pub(crate) struct Api {
    server: Server,
    authorization: Option<String>,
}

impl Api {
    pub(super) fn new(server: Server, authorization: Option<String>) -> Self {
        Self {
            server,
            authorization,
        }
    }

    /// The server whose admin socket is there.
    pub(crate) fn at_socket(path: PathBuf) -> Self {
        Self::new(Server::at_socket(path), None)
    }

    /// Asks for one object; `path` begins with `/api/v1/`, and what varies in it is encoded.
    pub(crate) fn get<T: Document + DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.object(&self.ask("GET", path, None)?)
    }

    /// Asks for something to be done.
    pub(crate) fn post<T: Document + DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.object(&self.send("POST", path, body)?)
    }

    /// Asks for something to be as it is said.
    pub(crate) fn put<T: Document + DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.object(&self.send("PUT", path, body)?)
    }

    /// Asks for something to be removed.
    pub(crate) fn delete<T: Document + DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.object(&self.ask("DELETE", path, None)?)
    }

    /// Items of all pages of a list, page by page; `path` may have parameters.
    pub(crate) fn list<T: Item + DeserializeOwned>(&self, path: &str) -> Items<'_, T> {
        Items {
            api: self,
            path: path.to_owned(),
            next: Next::First,
            here: VecDeque::new(),
        }
    }

    fn send(&self, method: &str, path: &str, body: &impl Serialize) -> Result<Answer, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::failed("LF-CLI-001", error))?;
        self.ask(method, path, Some(&body))
    }

    fn ask(&self, method: &str, path: &str, body: Option<&[u8]>) -> Result<Answer, Failure> {
        let mut headers = vec![("Accept", "application/json")];
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        if let Some(authorization) = &self.authorization {
            headers.push(("Authorization", authorization));
        }
        let answer = self
            .server
            .ask(method, path, &headers, body.unwrap_or_default(), LIMIT)
            .map_err(|error| self.unreachable(&error))?;
        if answer.status == 200 {
            Ok(answer)
        } else {
            Err(self.refused(&answer))
        }
    }

    fn object<T: Document + DeserializeOwned>(&self, answer: &Answer) -> Result<T, Failure> {
        let whole: Documented<T> = self.read(answer)?;
        self.check(&whole.schema, T::SCHEMA)?;
        Ok(whole.value)
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Failure> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            Failure::failed(
                "LF-CLI-006",
                format!(
                    "{} answers with something that this command does not understand: {error}\n  \
                     fix   use the command of the server's own version",
                    self.server
                ),
            )
        })
    }

    fn check(&self, answered: &str, expected: &str) -> Result<(), Failure> {
        if answered == expected {
            return Ok(());
        }
        Err(Failure::failed(
            "LF-CLI-006",
            format!(
                "{} answers with {answered}, and this command understands {expected}\n  \
                 fix   use the command of the server's own version",
                self.server
            ),
        ))
    }

    fn unreachable(&self, error: &Unreachable) -> Failure {
        if error.kind() == ErrorKind::PermissionDenied {
            return Failure::denied(
                "LF-CLI-005",
                format!(
                    "{} is for root and the server's own user alone\n  \
                     fix   become one of them, or log in over HTTP: --server URL --user NAME",
                    self.server
                ),
            );
        }
        let is_local = self.authorization.is_none();
        let nobody = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        let fix = if is_local && nobody {
            "\n  why   no server runs on this data folder, or it runs elsewhere\n  \
             fix   start it; or say where it is: --data FOLDER or --config FILE as for its `serve`, or --server URL --user NAME"
        } else {
            ""
        };
        Failure::temporary("LF-CLI-004", format!("{error}{fix}"))
    }

    /// The server's own words.
    fn refused(&self, answer: &Answer) -> Failure {
        let Ok(Problem { error }) = serde_json::from_slice(&answer.body) else {
            return Failure::failed(
                "LF-CLI-006",
                format!(
                    "{} answers {} and nothing of the admin API\n  \
                     fix   is that URL the registry's, with the path that it may be under? is the server older than this command?",
                    self.server, answer.status
                ),
            );
        };
        let exit = match answer.status {
            400 | 413..=415 => 2,
            401 | 403 => 4,
            404 | 410 => 5,
            409 => 6,
            429 | 502..=504 => 8,
            507 => 9,
            _ => 1,
        };
        Failure::answered(&error.code, error.message, exit)
    }
}

/// The page that is asked for next.
enum Next {
    First,
    After(String),
    None,
}

/// Items of a list.
pub(crate) struct Items<'a, T> {
    api: &'a Api,
    path: String,
    next: Next,
    here: VecDeque<T>,
}

impl<T: Item + DeserializeOwned> Items<'_, T> {
    fn turn(&mut self, path: &str) -> Result<(), Failure> {
        let answer = self.api.ask("GET", path, None)?;
        let page: List<T> = self.api.read(&answer)?;
        self.api.check(&page.schema, T::LIST)?;
        self.here = page.items.into();
        self.next = page.next.map_or(Next::None, Next::After);
        Ok(())
    }
}

impl<T: Item + DeserializeOwned> Iterator for Items<'_, T> {
    type Item = Result<T, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.here.pop_front() {
                return Some(Ok(item));
            }
            let path = match std::mem::replace(&mut self.next, Next::None) {
                Next::First => self.path.clone(),
                Next::After(after) => {
                    let joint = if self.path.contains('?') { '&' } else { '?' };
                    format!("{}{joint}after={}", self.path, encode(&after))
                }
                Next::None => return None,
            };
            if let Err(failure) = self.turn(&path) {
                return Some(Err(failure));
            }
        }
    }
}

/// Prints an object as the server sent it.
pub(crate) fn print_json<T: Document + Serialize>(value: T) {
    output::json(&Documented {
        schema: T::SCHEMA.to_owned(),
        value,
    });
}
