//! One typed `Settings` out of a YAML file, the environment and flags, with the origin of every value.
//!
//! Shape: `Settings::load(Sources)` -> `Loaded` (settings, warnings, where each value came from) or `Problems`
//! (everything that is wrong, at once). Nothing here touches the process: environment, flags and file access are handed in.
//! Each key is one row of `table`: parsing, `explain`, the reference page and "did you mean" read the same row.
//! Units: durations are `std::time::Duration`, sizes are bytes (`u64`).
//! Source: the configuration format of the CNCF registry (`version: 0.1`), plus the sections that are Landfall's own.

mod address;
mod assemble;
mod assemble_acme;
mod assemble_admin;
mod assemble_backup;
mod assemble_rules;
mod assemble_tls;
mod check;
mod duration;
mod environment;
mod explain;
mod finding;
mod kind;
mod letsencrypt;
mod links;
mod load;
mod metrics;
mod node;
mod origin;
mod overlay;
mod print;
mod proxies;
mod rate;
mod reader;
mod reference;
mod reload;
mod secret;
mod settings;
mod shape;
mod size;
mod suggest;
mod table;
mod text;
mod value;
mod yaml;

pub use address::{Host, ListenAddr};
pub use duration::{format_duration, parse_duration};
pub use explain::{Explained, UnknownKey, explain, render_explained};
pub use finding::{Finding, Problems, Severity};
pub use links::BaseUrl;
pub use load::{Flag, Loaded, ReadFile, Sources, Values};
pub use origin::Origin;
pub use print::effective;
pub use proxies::TrustedProxy;
pub use rate::parse_rate;
pub use reference::settings_reference;
pub use reload::{Difference, differences, is_reloaded};
pub use secret::Secret;
pub use settings::{
    AccessLogFormat, Acme, Admin, Auth, Backup, Challenge, ClientAuth, Dns, FileProbe, Formatter, Gc, Health,
    Http, IndexPlatforms, KeyAlgorithm, Level, Limits, Listen, Log, Medium, Platform, Probe, Retention,
    Rfc2136, Settings, Storage, Tls, TlsSource, UploadPurging, Urls, Validation,
};
pub use size::{format_size, parse_size};
