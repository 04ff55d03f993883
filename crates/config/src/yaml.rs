//! YAML text -> [`Node`] tree with positions, bounded in size, depth and alias expansion.
//!
//! Fails: a [`Fault`] with its place. Syntax and limits stop the parse; a key written twice, or a key that is not text,
//! is noted and the parse goes on, so that one run shows as much as possible.
//! Source: YAML 1.2 events by granit-parser; nulls, booleans and `<<` as the Go decoder of the CNCF registry reads them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::finding::Code;
use crate::node::{Entry, Node, Value};
use crate::origin::Origin;

/// Bytes of one configuration text: a thousand times what real files have.
pub(crate) const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Levels of sections and lists, aliases expanded.
const DEPTH_MAX: usize = 32;
/// Values in the tree, aliases expanded.
const NODES_MAX: usize = 10_000;

/// Whose text is being read: it becomes the origin of every node.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    File(Arc<Path>),
    Environment(Arc<str>),
}

impl Text {
    fn origin(&self, line: usize, column: usize, width: usize) -> Origin {
        match self {
            Self::File(path) => Origin::File {
                path: Arc::clone(path),
                line,
                column,
                width: width.max(1),
            },
            Self::Environment(name) => Origin::Environment(Arc::clone(name)),
        }
    }

    fn span(&self, span: &Span) -> Origin {
        let one_line = span.start.line() == span.end.line();
        let width = if one_line {
            span.end.col().saturating_sub(span.start.col())
        } else {
            1
        };
        self.origin(span.start.line(), span.start.col() + 1, width)
    }
}

/// One thing that is wrong with the text itself.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) origin: Origin,
    pub(crate) title: String,
    pub(crate) label: String,
}

/// The tree, and what was wrong but did not stop the parse.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) root: Node,
    pub(crate) faults: Vec<Fault>,
}

pub(crate) fn parse(text: &str, source: &Text) -> Result<Parsed, Fault> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Fault {
            code: Code::TooLarge,
            origin: source.origin(1, 1, 1),
            title: format!(
                "{} bytes of configuration are more than the {TEXT_BYTES_MAX} allowed",
                text.len()
            ),
            label: "this cannot be meant as a configuration".into(),
        });
    }
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX * 2,
        block_nesting_limit: DEPTH_MAX * 2,
    };
    let mut builder = Builder {
        events: Parser::new_from_str_with_options(text, options),
        source,
        anchors: HashMap::new(),
        nodes_left: NODES_MAX,
        faults: Vec::new(),
    };
    let root = builder.document()?;
    Ok(Parsed {
        root,
        faults: builder.faults,
    })
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    source: &'a Text,
    anchors: HashMap<usize, Anchored>,
    nodes_left: usize,
    faults: Vec<Fault>,
}

/// What an alias repeats, and what repeating it costs.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.events.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Err(fault(
                Code::Syntax,
                self.source.origin(1, 1, 1),
                "the YAML ends too early",
                "",
            )),
        }
    }

    /// The one document of the stream; an empty stream is an empty section.
    fn document(&mut self) -> Result<Node, Fault> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => break,
                (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
                (_, span) if root.is_some() => {
                    let title = "a second YAML document begins here";
                    let label = "only one document is read: join them, or remove the `---`";
                    return Err(fault(Code::Syntax, self.source.span(&span), title, label));
                }
                (event, span) => root = Some(self.node(event, &span, 0)?.0),
            }
        }
        Ok(root.unwrap_or_else(|| Node::new(Value::Null, self.source.origin(1, 1, 1))))
    }

    /// Reads the node that `event` begins. Also says how many nodes it has, and how many levels.
    fn node(&mut self, event: Event<'a>, span: &Span, level: usize) -> Result<(Node, usize, usize), Fault> {
        let origin = self.source.span(span);
        self.spend(1, level, &origin)?;
        let (anchor, value, nodes, depth) = match event {
            Event::Alias(id) => return self.alias(id, origin, level),
            Event::Scalar(text, style, anchor, tag) => {
                let text_only = self.tag(tag.as_deref(), &origin) || style != ScalarStyle::Plain;
                let null = !text_only && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null {
                    Value::Null
                } else {
                    Value::Scalar(text.into_owned())
                };
                (anchor, value, 1, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), &origin);
                let (items, nodes, depth) = self.items(level)?;
                (anchor, Value::List(items), nodes + 1, depth + 1)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), &origin);
                let (entries, nodes, depth) = self.entries(level)?;
                (anchor, Value::Map(entries), nodes + 1, depth + 1)
            }
            _ => return Err(fault(Code::Syntax, origin, "this is not a YAML value", "")),
        };
        let node = Node::new(value, origin);
        if anchor != 0 {
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    nodes,
                    depth,
                },
            );
        }
        Ok((node, nodes, depth))
    }

    fn alias(&mut self, id: usize, origin: Origin, level: usize) -> Result<(Node, usize, usize), Fault> {
        let Some(Anchored { nodes, depth, .. }) = self.anchors.get(&id) else {
            let label = "an alias cannot stand inside the value that it names";
            return Err(fault(
                Code::TooLarge,
                origin,
                "this alias repeats itself without end",
                label,
            ));
        };
        let (nodes, depth) = (*nodes, *depth);
        self.spend(nodes, level + depth, &origin)?;
        let mut node = self.anchors[&id].node.clone();
        node.origin = origin;
        Ok((node, nodes, depth))
    }

    fn items(&mut self, level: usize) -> Result<(Vec<Node>, usize, usize), Fault> {
        let (mut items, mut nodes_all, mut depth_max) = (Vec::new(), 0, 0);
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok((items, nodes_all, depth_max)),
                (event, span) => {
                    let (node, nodes, depth) = self.node(event, &span, level + 1)?;
                    items.push(node);
                    nodes_all += nodes;
                    depth_max = depth_max.max(depth);
                }
            }
        }
    }

    fn entries(&mut self, level: usize) -> Result<(Vec<Entry>, usize, usize), Fault> {
        let (mut entries, mut merges, mut nodes_all, mut depth_max) = (Vec::<Entry>::new(), Vec::new(), 0, 0);
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let plain = matches!(event, Event::Scalar(_, ScalarStyle::Plain, ..));
            let (key, key_nodes, _) = self.node(event, &span, level + 1)?;
            let (event, span) = self.next()?;
            let (node, nodes, depth) = self.node(event, &span, level + 1)?;
            nodes_all += key_nodes + nodes;
            depth_max = depth_max.max(depth);
            match key.value {
                Value::Scalar(word) if plain && word == "<<" => merges.push(node),
                Value::Scalar(word) => self.enter(
                    &mut entries,
                    Entry {
                        key: word,
                        key_origin: key.origin,
                        node,
                    },
                ),
                _ => {
                    let label = format!("this is {}", key.noun());
                    let fault = fault(Code::Syntax, key.origin, "a key must be a word", &label);
                    self.faults.push(fault);
                }
            }
        }
        for merge in merges {
            self.merge(&mut entries, merge);
        }
        Ok((entries, nodes_all, depth_max))
    }

    fn enter(&mut self, entries: &mut Vec<Entry>, entry: Entry) {
        match entries.iter().find(|known| known.key == entry.key) {
            None => entries.push(entry),
            Some(first) => {
                let title = format!("the key `{}` is written twice in one section", entry.key);
                let label = match &first.key_origin {
                    Origin::File { line, .. } => format!("the first is in line {line}; keep one of them"),
                    _ => "keep one of them".into(),
                };
                let fault = fault(Code::DuplicateKey, entry.key_origin, &title, &label);
                self.faults.push(fault);
            }
        }
    }

    /// `<<: *base` (or a list of them): keys that the section does not write itself.
    fn merge(&mut self, entries: &mut Vec<Entry>, merge: Node) {
        let sources = match merge.value {
            Value::List(items) => items,
            _ => vec![merge],
        };
        for source in sources {
            let Value::Map(inherited) = source.value else {
                let fault = fault(Code::Syntax, source.origin, "`<<` takes sections only", "");
                self.faults.push(fault);
                continue;
            };
            for entry in inherited {
                if !entries.iter().any(|known| known.key == entry.key) {
                    entries.push(entry);
                }
            }
        }
    }

    /// True for `!!str`. Tags outside YAML's own mean nothing here and are refused.
    fn tag(&mut self, tag: Option<&Tag>, origin: &Origin) -> bool {
        let Some(tag) = tag else { return false };
        if !tag.is_yaml_core_schema() {
            let title = format!("the tag `{}` has no meaning here", tag.original());
            let fault = fault(Code::Syntax, origin.clone(), &title, "remove it");
            self.faults.push(fault);
        }
        tag.is_yaml_core_schema_tag("str")
    }

    fn spend(&mut self, nodes: usize, level: usize, origin: &Origin) -> Result<(), Fault> {
        if level > DEPTH_MAX {
            let title = format!("sections are nested deeper than {DEPTH_MAX} levels");
            return Err(fault(
                Code::TooLarge,
                origin.clone(),
                &title,
                "no setting is that deep",
            ));
        }
        let Some(left) = self.nodes_left.checked_sub(nodes) else {
            let title = format!("more than {NODES_MAX} values, aliases counted each time");
            return Err(fault(
                Code::TooLarge,
                origin.clone(),
                &title,
                "this one is over the limit",
            ));
        };
        self.nodes_left = left;
        Ok(())
    }

    fn syntax(&self, error: &ScanError) -> Fault {
        let marker = error.marker();
        let origin = self.source.origin(marker.line(), marker.col() + 1, 1);
        fault(
            Code::Syntax,
            origin,
            "this is not valid YAML",
            &error.kind().to_string(),
        )
    }
}

fn fault(code: Code, origin: Origin, title: &str, label: &str) -> Fault {
    Fault {
        code,
        origin,
        title: title.into(),
        label: label.into(),
    }
}
