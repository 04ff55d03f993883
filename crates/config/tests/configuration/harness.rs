//! A configuration put together from texts: no process environment, no disk.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use config::{Finding, Flag, Loaded, Problems, Settings, Sources};

#[derive(Clone, Default)]
pub(crate) struct Configuration {
    files: HashMap<PathBuf, Vec<u8>>,
    file: Option<PathBuf>,
    environment: Vec<(String, String)>,
    flags: Vec<Flag>,
}

pub(crate) fn nothing() -> Configuration {
    Configuration::default()
}

/// `/config.yml` with this text, named on the command line.
pub(crate) fn file(text: &str) -> Configuration {
    Configuration {
        file: Some("/config.yml".into()),
        ..nothing().with_file("/config.yml", text)
    }
}

impl Configuration {
    /// A file that exists, without being named.
    pub(crate) fn with_file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), text.as_ref().to_vec());
        self
    }

    pub(crate) fn named(mut self, path: &str) -> Self {
        self.file = Some(path.into());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub(crate) fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags.push(Flag {
            name,
            value: value.into(),
        });
        self
    }

    pub(crate) fn try_load(&self) -> Result<Loaded, Problems> {
        let read_file = |path: &Path| -> io::Result<Vec<u8>> {
            if path == Path::new("/directory") {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            self.files
                .get(path)
                .cloned()
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        Settings::load(&Sources {
            file: self.file.clone(),
            environment: self
                .environment
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            flags: self.flags.clone(),
            read_file: &read_file,
        })
    }

    pub(crate) fn load(&self) -> Loaded {
        self.try_load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Loads, and there must be nothing to say.
    pub(crate) fn load_clean(&self) -> Settings {
        let loaded = self.load();
        assert!(loaded.warnings.is_empty(), "{}", texts(&loaded.warnings));
        loaded.settings
    }

    pub(crate) fn refusal(&self) -> Problems {
        match self.try_load() {
            Ok(loaded) => panic!("this must be refused: {:?}", loaded.settings),
            Err(problems) => problems,
        }
    }

    pub(crate) fn problems(&self) -> String {
        self.refusal().to_string()
    }

    /// The codes of all errors, in order.
    pub(crate) fn codes(&self) -> Vec<String> {
        self.refusal().errors.iter().map(Finding::code).collect()
    }

    pub(crate) fn warnings(&self) -> String {
        texts(&self.load().warnings)
    }
}

fn texts(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n\n")
}
