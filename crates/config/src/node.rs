//! A YAML value that remembers where it was written.
//!
//! Scalars keep their text: what a scalar means (number, duration, path) is decided by the row that declares the key,
//! so `0123` in a password stays `0123`.

use crate::origin::Origin;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_origin: Origin,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin }
    }

    pub(crate) fn scalar(text: impl Into<String>, origin: Origin) -> Self {
        Self::new(Value::Scalar(text.into()), origin)
    }

    pub(crate) fn empty_map(origin: Origin) -> Self {
        Self::new(Value::Map(Vec::new()), origin)
    }

    /// The scalar's text; null and the empty text are both "nothing written", as in the CNCF registry.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// `a.b.c`, maps only.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// The entry that a dotted path names, with the place of its key.
    pub(crate) fn entry_at(&self, path: &str) -> Option<&Entry> {
        match path.rsplit_once('.') {
            Some((parent, key)) => self.at(parent)?.entry(key),
            None => self.entry(path),
        }
    }

    /// Nothing but nulls, empty texts and empty collections all the way down.
    pub(crate) fn is_blank(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Scalar(text) => text.is_empty(),
            Value::List(items) => items.iter().all(Self::is_blank),
            Value::Map(entries) => entries.iter().all(|entry| entry.node.is_blank()),
        }
    }

    /// What a message calls this shape.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a section",
        }
    }

    /// The entries of this section; what is no section becomes an empty one.
    pub(crate) fn make_map(&mut self, origin: &Origin) -> &mut Vec<Entry> {
        if !matches!(self.value, Value::Map(_)) {
            *self = Self::empty_map(origin.clone());
        }
        match &mut self.value {
            Value::Map(entries) => entries,
            _ => unreachable!("it was made a map"),
        }
    }

    /// The items of this list; what is no list becomes an empty one.
    pub(crate) fn make_list(&mut self, origin: &Origin) -> &mut Vec<Node> {
        if !matches!(self.value, Value::List(_)) {
            *self = Self::new(Value::List(Vec::new()), origin.clone());
        }
        match &mut self.value {
            Value::List(items) => items,
            _ => unreachable!("it was made a list"),
        }
    }

    /// A section written in short (`auth: none`, `storage: filesystem`) becomes the section it stands for.
    pub(crate) fn expand_shorthand(&mut self) {
        if let Value::Scalar(word) = &self.value
            && !word.is_empty()
        {
            let entry = Entry {
                key: word.to_ascii_lowercase(),
                key_origin: self.origin.clone(),
                node: Node::new(Value::Null, self.origin.clone()),
            };
            self.value = Value::Map(vec![entry]);
        }
    }
}
