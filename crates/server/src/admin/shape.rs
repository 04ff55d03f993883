//! A JSON body beside the schema that documents it: what is wrong, where, and what is expected, in words for people.
//!
//! serde would refuse most of it too, but in the words of Rust; and it takes a list where the fields of an object belong.
//! Shape: of JSON schema, what our own types make of it: `$ref`, `oneOf` several kinds, `enum`, fields, items, bounds.
//! Fails: the first thing that does not fit, as one sentence.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};

/// Most characters of what somebody sent that a message shows.
const SHOWN_CHARS_MAX: usize = 60;

/// What a body must look like.
pub(super) struct Shape {
    root: Value,
    named: BTreeMap<String, Value>,
}

impl Shape {
    /// A schema, and those that it refers to.
    pub(super) fn new(root: &RefOr<Schema>, named: &[(String, RefOr<Schema>)]) -> Self {
        let plain = |schema: &RefOr<Schema>| serde_json::to_value(schema).unwrap_or_default();
        Self {
            root: plain(root),
            named: named
                .iter()
                .map(|(name, schema)| (name.clone(), plain(schema)))
                .collect(),
        }
    }

    pub(super) fn check(&self, given: &Value) -> Result<(), String> {
        self.value(&self.root, given, "")
    }

    fn value(&self, schema: &Value, given: &Value, place: &str) -> Result<(), String> {
        let schema = self.resolved(schema);
        if !schema["oneOf"].is_null() {
            let choices = self.choices(schema);
            let meant = choices
                .iter()
                .find(|choice| kinds(choice).iter().any(|kind| is(kind, given)));
            return match meant {
                Some(meant) => self.value(meant, given, place),
                None => Err(misfit(&choices, given, place)),
            };
        }
        let kinds = kinds(schema);
        if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind, given)) {
            return Err(misfit(&[schema], given, place));
        }
        match given {
            Value::String(_) if !is_listed(schema, given) => Err(misfit(&[schema], given, place)),
            Value::Number(_) if !is_within(schema, given) => Err(misfit(&[schema], given, place)),
            Value::Array(items) => (0..).zip(items).try_for_each(|(at, item): (usize, _)| {
                self.value(&schema["items"], item, &format!("{place}[{at}]"))
            }),
            Value::Object(fields) => self.fields(schema, fields, place),
            _ => Ok(()),
        }
    }

    fn fields(&self, schema: &Value, given: &Map<String, Value>, place: &str) -> Result<(), String> {
        let Some(known) = schema["properties"].as_object() else {
            return Ok(());
        };
        for (name, value) in given {
            if let Some(field) = known.get(name) {
                self.value(field, value, &below(place, name))?;
            } else if schema["additionalProperties"] == false {
                let known: Vec<String> = known.keys().map(|name| format!("`{name}`")).collect();
                return Err(format!(
                    "{} has no field `{}`: it takes {}",
                    said(place),
                    shown(name),
                    known.join(", ")
                ));
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let missing = required
            .filter_map(Value::as_str)
            .find(|name| !given.contains_key(*name));
        match missing {
            None => Ok(()),
            Some(name) => Err(format!(
                "{} lacks the field `{name}`: {}",
                said(place),
                expected(&self.choices(&known[name]))
            )),
        }
    }

    /// What a value may be, where it may be of several kinds.
    fn choices<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolved(schema);
        match schema["oneOf"].as_array() {
            Some(choices) => choices.iter().flat_map(|choice| self.choices(choice)).collect(),
            None => vec![schema],
        }
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let named = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        match named.and_then(|name| self.named.get(name)) {
            Some(found) => self.resolved(found),
            None => schema,
        }
    }
}

/// `"type"`, one or several.
fn kinds(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is(kind: &str, given: &Value) -> bool {
    match kind {
        "null" => given.is_null(),
        "boolean" => given.is_boolean(),
        "integer" => given.is_u64() || given.is_i64(),
        "number" => given.is_number(),
        "string" => given.is_string(),
        "array" => given.is_array(),
        "object" => given.is_object(),
        _ => true,
    }
}

fn is_listed(schema: &Value, given: &Value) -> bool {
    schema["enum"]
        .as_array()
        .is_none_or(|words| words.contains(given))
}

fn is_within(schema: &Value, given: &Value) -> bool {
    let (least, most) = bounds(schema);
    let above = |least: i64| {
        given
            .as_i64()
            .map_or_else(|| given.is_u64(), |given| given >= least)
    };
    let below = |most: u64| {
        given
            .as_u64()
            .map_or_else(|| given.is_i64(), |given| given <= most)
    };
    least.is_none_or(above) && most.is_none_or(below)
}

/// What numbers of a field lie between. `int32` and `int64` are those of our types, which have a sign or none.
fn bounds(schema: &Value) -> (Option<i64>, Option<u64>) {
    let least = schema["minimum"].as_f64().map(|least| {
        #[expect(clippy::cast_possible_truncation, reason = "it is 0 or 1")]
        let least = least as i64;
        least
    });
    let most = match (schema["format"].as_str(), least) {
        (Some("int32"), Some(_)) => Some(u64::from(u32::MAX)),
        (Some("int32"), None) => Some(i32::MAX.unsigned_abs().into()),
        (Some("int64"), None) => Some(i64::MAX.unsigned_abs()),
        _ => schema["maximum"].as_u64(),
    };
    (least, most)
}

fn misfit(choices: &[&Value], given: &Value, place: &str) -> String {
    let found = match given {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => shown(&given.to_string()),
        Value::String(text) => format!("the text \"{}\"", shown(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("{} must be {}, and is {found}", said(place), expected(choices))
}

/// What there may be beside null.
fn expected(choices: &[&Value]) -> String {
    let real = choices
        .iter()
        .filter(|schema| kinds(schema).iter().any(|kind| *kind != "null"));
    let said: Vec<String> = real.map(|schema| one(schema)).collect();
    said.join(", or ")
}

fn one(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect();
        return format!("one of {}", words.join(", "));
    }
    match kinds(schema).into_iter().find(|kind| *kind != "null") {
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => match bounds(schema) {
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
            (Some(least), None) => format!("a whole number of at least {least}"),
            (None, _) => "a whole number".to_owned(),
        },
        Some("number") => "a number".to_owned(),
        Some("string") => "a text".to_owned(),
        Some("array") => "a list".to_owned(),
        _ => {
            let fields = schema["properties"].as_object().into_iter().flat_map(Map::keys);
            let fields: Vec<String> = fields.map(|name| format!("`{name}`")).collect();
            match fields.as_slice() {
                [] => "a JSON object".to_owned(),
                fields => format!("a JSON object with {}", fields.join(", ")),
            }
        }
    }
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() {
        name.to_owned()
    } else {
        format!("{place}.{name}")
    }
}

fn said(place: &str) -> String {
    if place.is_empty() {
        "the body".to_owned()
    } else {
        format!("`{place}`")
    }
}

fn shown(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape() -> Shape {
        let inner = json!({
            "type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"],
            "additionalProperties": false,
        });
        let root = json!({
            "type": "object",
            "properties": {
                "on": {"type": "boolean"},
                "kind": {"type": ["string", "null"], "enum": ["a", "b"]},
                "count": {"type": ["integer", "null"], "format": "int32", "minimum": 0},
                "names": {"type": "array", "items": {"type": "string"}},
                "from": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Inner"}, {"type": "string", "enum": ["here"]}]},
            },
            "required": ["on"],
            "additionalProperties": false,
        });
        Shape {
            root,
            named: BTreeMap::from([("Inner".to_owned(), inner)]),
        }
    }

    #[test]
    fn what_fits_is_taken() {
        for given in [
            json!({"on": true}),
            json!({"on": false, "kind": null, "count": null, "from": null, "names": []}),
            json!({"on": true, "kind": "a", "count": u32::MAX, "names": ["x"], "from": {"place": "/x"}}),
        ] {
            assert_eq!(shape().check(&given), Ok(()), "{given}");
        }
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_place_and_what_is_expected() {
        for (given, said) in [
            (
                json!([]),
                "the body must be a JSON object with `count`, `from`, `kind`, `names`, `on`, and is a list",
            ),
            (json!({}), "the body lacks the field `on`: true or false"),
            (
                json!({"on": "yes"}),
                "`on` must be true or false, and is the text \"yes\"",
            ),
            (
                json!({"on": true, "of": 1}),
                "the body has no field `of`: it takes `count`, `from`, `kind`, `names`, `on`",
            ),
            (
                json!({"on": true, "count": -1}),
                "`count` must be a whole number from 0 to 4294967295, and is -1",
            ),
            (
                json!({"on": true, "count": 1.5}),
                "`count` must be a whole number from 0 to 4294967295, and is 1.5",
            ),
            (
                json!({"on": true, "kind": "c"}),
                "`kind` must be one of `a`, `b`, and is the text \"c\"",
            ),
            (
                json!({"on": true, "names": ["x", {}]}),
                "`names[1]` must be a text, and is an object",
            ),
            (
                json!({"on": true, "from": 7}),
                "`from` must be a JSON object with `place`, or one of `here`, and is 7",
            ),
            (
                json!({"on": true, "from": {}}),
                "`from` lacks the field `place`: a text",
            ),
            (
                json!({"on": true, "from": {"place": null}}),
                "`from.place` must be a text, and is null",
            ),
        ] {
            assert_eq!(shape().check(&given), Err(said.to_owned()), "{given}");
        }
    }
}
