//! Arguments as they are typed: numbers, and what begins with a hyphen where no option is called so.
//!
//! clap takes `--older-than -1` for an option `-1`, and advises to write `--` before it, which helps nobody: the value belongs to the
//! option before it, whose own words say what is wrong; and nothing that a command takes by its place begins with a hyphen.

use std::ffi::OsString;
use std::ops::RangeInclusive;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// What was typed, or the error to be shown.
pub(crate) fn parse<P: Parser>(mut typed: Vec<OsString>) -> Result<P, Error> {
    loop {
        let error = match P::try_parse_from(&typed) {
            Ok(parsed) => return Ok(parsed),
            Err(error) => error,
        };
        let Some(at) = hyphen(&error, &typed) else {
            return Err(without_bad_advice(error));
        };
        let word = typed[at].to_string_lossy().into_owned();
        let joint = match typed[at - 1].to_str() {
            Some(option) if option.starts_with("--") && option.len() > 2 && !option.contains('=') => {
                format!("{option}={word}")
            }
            _ => return Err(out_of_place(&word, &error)),
        };
        let mut joined = typed.clone();
        joined.splice(at - 1..=at, [joint.into()]);
        // An option that takes no value is not meant.
        match P::try_parse_from(&joined) {
            Err(other) if other.kind() == ErrorKind::TooManyValues => {
                return Err(out_of_place(&word, &error));
            }
            _ => typed = joined,
        }
    }
}

/// The same, but for the advice to write `--`.
fn without_bad_advice(mut error: Error) -> Error {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::StyledStrs(advice)) = error.remove(ContextKind::Suggested)
    {
        let good = advice.into_iter();
        let good: Vec<_> = good
            .filter(|advice| !advice.to_string().contains("as a value, use '-- "))
            .collect();
        if !good.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(good));
        }
    }
    error
}

/// Where the word stands that was taken for a short option, and is none.
fn hyphen(error: &Error, typed: &[OsString]) -> Option<usize> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let begins = |word: &OsString| {
        let word = word.to_string_lossy();
        !word.starts_with("--") && word.starts_with(option.as_str())
    };
    if option.starts_with("--") {
        return None;
    }
    let at = typed.iter().skip(1).position(begins)?;
    Some(at + 1)
}

fn out_of_place(word: &str, error: &Error) -> Error {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => format!("\n\n{usage}"),
        _ => String::new(),
    };
    Error::raw(
        ErrorKind::UnknownArgument,
        format!(
            "'{word}' is no option, and no name, tag, digest or number that is expected here begins with '-'{usage}\n\n\
             For more information, try '--help'.\n"
        ),
    )
}

/// A whole number within bounds, and words for what is none.
pub(crate) fn whole<T: TryFrom<u64>>(
    bounds: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        let (least, most) = (bounds.start(), bounds.end());
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            if *most == u64::MAX {
                format!("expected a whole number of at least {least}")
            } else {
                format!("expected a whole number from {least} to {most}")
            }
        })
    }
}
