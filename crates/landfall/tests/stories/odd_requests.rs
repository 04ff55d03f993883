//! Whoever sends something odd to the admin API is told what is wrong, where, and what is expected: always in the same document,
//! with the right status, and never in the words of the language that the server is written in.
//!
//! Source: docs/api.md; RFC 9110 section 15.5.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::harness::admin::{over_socket, sent_over_socket};
use crate::harness::{Image, Landfall, Response};

const JSON: Option<&str> = Some("application/json");

/// Each code of the API with the statuses that it may have.
const CODES: [(&str, &[u16]); 10] = [
    ("LF-API-001", &[400]),
    ("LF-API-002", &[404]),
    ("LF-API-003", &[405]),
    ("LF-API-007", &[413]),
    ("LF-API-010", &[503]),
    ("LF-API-011", &[404]),
    ("LF-API-012", &[409]),
    ("LF-API-013", &[507]),
    ("LF-API-015", &[409, 410]),
    ("LF-API-017", &[415]),
];

/// What nobody says who does not write Rust.
const RUST: &str = "struct|invalid type|invalid value|invalid length|invalid digit|missing field|unknown field|variant|sequence|\
                    tuple|deserialize|serde|EOF|Option|Some(|::|u8|u32|u64|usize|i64|f64";

/// The document of every refusal; its message.
fn refusal(answer: &Response, asked: &str) -> String {
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{asked}:\n{answer}"
    );
    let json = answer.json();
    let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["error"], "{asked}:\n{answer}");
    let code = json["error"]["code"].as_str().unwrap();
    let known = CODES.iter().find(|(known, _)| *known == code);
    assert!(
        known.is_some_and(|(_, statuses)| statuses.contains(&answer.status)),
        "{asked}:\n{answer}"
    );
    let message = json["error"]["message"].as_str().unwrap();
    assert!(
        !message.is_empty() && !message.contains('\n'),
        "{asked}:\n{answer}"
    );
    for word in RUST.split('|') {
        assert!(!message.contains(word), "{asked}: {word:?} in {message}");
    }
    assert_eq!(
        answer.header("allow").is_some(),
        answer.status == 405,
        "{asked}:\n{answer}"
    );
    message.to_owned()
}

/// Mistakes, one a line: the request, the kind that its body is said to be (`-`: nothing is said), the body, the status, words of
/// the message.
const MISTAKES: &str = r#"
GET /api/v1/repositories/%ff/tags | - | | 400 | path, UTF-8
GET /api/v1/repositories/%zz | - | | 400 | path, %zz
GET /api/v1/why/kept/%f | - | | 400 | path, %f
GET /api/v1/repositories/a%00b | - | | 400 | control character
POST /api/v1/trash/%ff/restore | json | {} | 400 | UTF-8
GET /api/v1/nothing | - | | 404 | /api/v1/nothing, openapi.json
POST /api/v1/nothing | text/plain | x | 404 | openapi.json
GET /api/v1 | - | | 404 | openapi.json
GET /api/v1/gc/ | - | | 404 | openapi.json
PUT /api/v1/gc | json | [] | 405 | PUT
BREW /api/v1/mode | - | | 405 | BREW
GET /api/v1/repositories/team%2Fapp/tags?limit=0 | - | | 400 | `limit`, from 1 to 1000
GET /api/v1/repositories/team%2Fapp/tags?limit=x | - | | 400 | `limit`, from 1 to 1000
GET /api/v1/repositories/team%2Fapp/tags?limit=-1 | - | | 400 | `limit`, from 1 to 1000
GET /api/v1/repositories/team%2Fapp/tags?limit=1001 | - | | 400 | `limit`, from 1 to 1000
GET /api/v1/repositories/team%2Fapp/tags?limit=%zz | - | | 400 | query, %zz
GET /api/v1/repositories/team%2Fapp/tags?after=x | - | | 400 | `after`, `next`
GET /api/v1/repositories/team%2Fapp/tags?n=5 | - | | 400 | `n`, takes limit
GET /api/v1/repositories/team%2Fapp/tags?limit=1&limit=2 | - | | 400 | `limit`, once
GET /api/v1/usage/repositories?top=0 | - | | 400 | `top`, from 1
GET /api/v1/trash?repository=A | - | | 400 | repository
POST /api/v1/mode | json | [] | 400 | the body, object, list, `read_only`
POST /api/v1/mode | json | null | 400 | the body, object
POST /api/v1/mode | json | | 400 | `read_only`, true or false
POST /api/v1/mode | - | | 400 | `read_only`, true or false
POST /api/v1/mode | json | {} | 400 | `read_only`, true or false
POST /api/v1/mode | json | {"read_only": "yes"} | 400 | `read_only`, true or false, yes
POST /api/v1/mode | json | {"read_only": true, "why": 1} | 400 | `why`, `read_only`, `reason`
POST /api/v1/mode | json | {"read_only": true | 400 | ends too early, column
POST /api/v1/mode | json | {"read_only": tru} | 400 | not JSON, line 1
POST /api/v1/mode | json | {"read_only": true, "read_only": false} | 400 | duplicate field `read_only`
POST /api/v1/mode | json | LARGE | 413 | 1048576
POST /api/v1/mode | text/plain | {} | 415 | text/plain, application/json
POST /api/v1/mode | - | {"read_only": true} | 415 | Content-Type, application/json
POST /api/v1/scrub/run | json | {"sample": -1} | 400 | `sample`, from 0 to
POST /api/v1/scrub/run | json | {"sample": 4294967296} | 400 | `sample`, 4294967295
POST /api/v1/scrub/run | json | {"repair_from": {}} | 400 | `repair_from`, `place`
POST /api/v1/gc/run | json | {"urgent": ["a", 1]} | 400 | `urgent[1]`, a text
POST /api/v1/gc/run | json | [["a"], true] | 400 | object
POST /api/v1/gc/pause | json | [] | 400 | takes no body
POST /api/v1/gc/pause | json | {"days": 2} | 400 | takes no body
POST /api/v1/policies | json | {"retention": {"name": "a", "match": "**", "untagged": 3}} | 400 | `retention.untagged`, `keep`, `older_seconds`
"#;

#[test]
fn each_mistake_is_named_with_its_place_and_with_what_is_right() {
    let landfall = Landfall::start();
    landfall.push("team/app", "latest", &Image::new("something"));
    let large = "x".repeat(1024 * 1024 + 1);
    for line in MISTAKES.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [asked, kind, body, status, words] = cells[..] else {
            panic!("{line}")
        };
        let (method, target) = asked.split_once(' ').unwrap();
        let kind = match kind {
            "-" => None,
            "json" => JSON,
            other => Some(other),
        };
        let body = if body == "LARGE" { &large } else { body };
        let answer = sent_over_socket(&landfall.admin_socket(), method, target, kind, body.as_bytes());
        assert_eq!(answer.status.to_string(), status, "{line}:\n{answer}");
        let message = refusal(&answer, line);
        for word in words.split(", ") {
            assert!(message.contains(word), "{line}: {word:?} is not in: {message}");
        }
    }
    let mode = landfall.admin("GET", "/api/v1/mode", "").expect(200);
    assert_eq!(mode.json()["read_only"], false);
}

/// What the document says of one path.
#[derive(Clone, Debug)]
struct Path {
    path: String,
    methods: BTreeSet<String>,
}

/// Every path of the document, and every name of a field that some body has.
fn documented(socket: &std::path::Path) -> (Vec<Path>, Vec<String>) {
    let document = over_socket(socket, "GET", "/api/v1/openapi.json", "")
        .expect(200)
        .json();
    let paths = document["paths"].as_object().unwrap().iter();
    let paths = paths.map(|(path, item)| Path {
        path: path.clone(),
        methods: item
            .as_object()
            .unwrap()
            .keys()
            .map(|word| word.to_uppercase())
            .collect(),
    });
    let mut fields = BTreeSet::new();
    for (_, schema) in document["components"]["schemas"].as_object().unwrap() {
        let closed = schema["additionalProperties"] == Value::Bool(false);
        if let Some(known) = schema["properties"].as_object().filter(|_| closed) {
            fields.extend(known.keys().cloned());
        }
    }
    assert!(fields.contains("read_only") && fields.contains("older_than_seconds"));
    (paths.collect(), fields.into_iter().collect())
}

#[derive(Clone, Debug)]
struct Asked {
    method: String,
    target: String,
    kind: Option<&'static str>,
    body: Vec<u8>,
    /// Whether the document has this method there.
    documented: bool,
}

fn odd_request(paths: Vec<Path>, fields: Vec<String>) -> impl Strategy<Value = Asked> {
    let words = proptest::collection::vec(of(WORDS), 2);
    let kinds = select(vec![
        JSON,
        JSON,
        JSON,
        None,
        Some("text/plain"),
        Some("application/json; charset=utf-8"),
    ]);
    let query = prop_oneof![Just(""), of(QUERIES)];
    let method = prop_oneof![2 => Just(""), 1 => of("GET POST PUT PATCH DELETE OPTIONS BREW")];
    (select(paths), words, query, method, kinds, body(fields)).prop_map(
        |(path, words, query, method, kind, body)| {
            let mut words = words.into_iter();
            let parts = path.path.split('/').map(|part| match part.strip_prefix('{') {
                Some(_) => words.next().unwrap_or("x"),
                None => part,
            });
            let target = parts.collect::<Vec<_>>().join("/");
            let documented = path.methods.iter().next_back().unwrap();
            let method = if method.is_empty() { documented } else { method };
            Asked {
                method: method.to_owned(),
                target: if query.is_empty() {
                    target
                } else {
                    format!("{target}?{query}")
                },
                kind,
                body,
                documented: path.methods.contains(method),
            }
        },
    )
}

const WORDS: &str = "team%2Fapp latest %ff % %zz %C0%80 .. %2E%2E A %20 %22 sha256:ab sha256%3Aab -1 0 17 99999999999999999999 \
                     %00 %C3%A9 team%2Fapp%3Alatest a%40b retention";
const QUERIES: &str = "limit=0 limit=x limit=-1 limit=1001 limit=99999999999999999999 limit after=x after=MQ after=WzFd \
                       after=IngiCg after=bnVsbA after=%ff colour=red limit=1&limit=2 kind=x top=0 top=x repository=A \
                       repository=%zz folder=there folder=/nowhere%2F.. = && ? %=%";
const VALUES: &str = r#"null true -1 1.5 0 99999999999999999999 1e400 "" "x" "../x" [] {} [1] [null] ["x"] {"x":1} "\u0000" "\ud800""#;
const BODIES: &str = r#"[] null 1 "x" { {}x [1,2] {"unknown":1} tru {"a":1,"a":2} {1:2} {"a"} é"#;

/// One of these, between which blanks stand.
fn of(list: &'static str) -> impl Strategy<Value = &'static str> {
    select(list.split_whitespace().collect::<Vec<_>>())
}

fn body(fields: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let object = proptest::collection::vec((select(fields), of(VALUES)), 0..4).prop_map(|pairs| {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", pairs.join(",")).into_bytes()
    });
    prop_oneof![
        8 => object,
        4 => of(BODIES).prop_map(|text| text.as_bytes().to_vec()),
        1 => Just(b"\xff\xfe".to_vec()),
        1 => Just(b" ".to_vec()),
        1 => Just(Vec::new()),
        1 => Just("[".repeat(1000).into_bytes()),
    ]
}

#[test]
fn whatever_is_sent_to_any_path_is_refused_in_one_document_and_in_plain_words() {
    let landfall = Landfall::start();
    landfall.push("team/app", "latest", &Image::new("something"));
    let socket = landfall.admin_socket();
    let (paths, fields) = documented(&socket);
    let config = Config {
        cases: 1500,
        failure_persistence: None,
        ..Config::default()
    };
    let seen = std::cell::RefCell::new(BTreeSet::new());
    TestRunner::new(config)
        .run(&odd_request(paths, fields), |asked| {
            let answer = sent_over_socket(&socket, &asked.method, &asked.target, asked.kind, &asked.body);
            seen.borrow_mut().insert(answer.status);
            let said = format!("{asked:?}");
            if answer.status == 200 {
                let first = answer.json()["schema"]
                    .as_str()
                    .map(|schema| format!("{{\"schema\":\"{schema}\","));
                let is_first = first.is_none_or(|first| answer.body.starts_with(first.as_bytes()));
                prop_assert!(is_first || asked.target.contains("openapi"), "{said}:\n{answer}");
            } else {
                refusal(&answer, &said);
            }
            prop_assert!(
                answer.status == 400 || (answer.status == 405) != asked.documented,
                "{said}:\n{answer}"
            );
            Ok(())
        })
        .unwrap();
    for status in [200, 400, 404, 405, 415] {
        assert!(
            seen.borrow().contains(&status),
            "nothing was answered with {status}"
        );
    }
    landfall.log().expect_clean();
}
