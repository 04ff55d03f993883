//! Routes and their documentation, declared in one place: what is not in a [`Doc`] is not served, and the other way round.
//!
//! A query parameter that the `Doc` does not name is refused, so the document says all that an endpoint takes. Schemas are made
//! when somebody asks for the document or sends a body: kept for every route they would be megabytes.
//! Source: OpenAPI 3.1.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AllOfBuilder, ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required,
    ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

use super::shape::Shape;
use super::{BODY_BYTES_MAX, ROOT, Refusal, request};
use crate::api::{Document, Item, Problem};
use crate::v2::query::Query;

const JSON: &str = "application/json";

/// Routes, and what describes them.
#[derive(Default)]
pub struct Api {
    router: Router,
    routes: Vec<(Method, &'static str, Doc)>,
}

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// A schema, and those that it refers to, by their names.
type Described = (RefOr<Schema>, Vec<(String, RefOr<Schema>)>);

/// The path of the route that answered, for the log and the metrics.
#[derive(Clone, Copy)]
pub struct Label(pub &'static str);

/// What a route does, takes and answers.
pub struct Doc {
    summary: &'static str,
    queries: Vec<(&'static str, Type, &'static str)>,
    body: Option<fn() -> Described>,
    answer: fn() -> Described,
}

impl Doc {
    /// What it does, as a sentence.
    #[must_use]
    pub fn new(summary: &'static str) -> Self {
        Self {
            summary,
            queries: Vec::new(),
            body: None,
            answer: || (RefOr::T(Schema::default()), Vec::new()),
        }
    }

    /// A parameter of the query; read with `Params`.
    #[must_use]
    pub fn query(mut self, name: &'static str, kind: Type, help: &'static str) -> Self {
        self.queries.push((name, kind, help));
        self
    }

    /// The two parameters of a list; read with `Page`.
    #[must_use]
    pub fn paged(self) -> Self {
        self.query(
            "limit",
            Type::Integer,
            "items of the page, 1 to 1000; 100 if absent",
        )
        .query("after", Type::String, "`next` of the page before")
    }

    /// The JSON body; read with `Given`.
    #[must_use]
    pub fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(named::<T>);
        self
    }

    /// One object.
    #[must_use]
    pub fn answers<T: Document + ToSchema>(mut self) -> Self {
        self.answer = one::<T>;
        self
    }

    /// One page of a list.
    #[must_use]
    pub fn lists<T: Item + ToSchema>(mut self) -> Self {
        self.answer = list::<T>;
        self
    }

    fn operation(&self, method: &Method, path: &str, schemas: &mut Schemas) -> Operation {
        let mut described = |(schema, others): Described| {
            schemas.extend(others);
            schema
        };
        let noun = path[ROOT.len()..].split('/').nth(1).unwrap_or_default();
        let in_path = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path = in_path.map(|name| parameter(name, ParameterIn::Path, Type::String, None));
        let in_query = self.queries.iter();
        let in_query =
            in_query.map(|(name, kind, help)| parameter(name, ParameterIn::Query, kind.clone(), Some(help)));
        let answer = ResponseBuilder::new().description("done").content(
            JSON,
            ContentBuilder::new()
                .schema(Some(described((self.answer)())))
                .build(),
        );
        let problem = Ref::from_schema_name(Problem::name());
        let refused = ResponseBuilder::new()
            .description("refused or failed, and why")
            .content(JSON, ContentBuilder::new().schema(Some(problem)).build());
        let body = self.body.map(|schema| {
            let content = ContentBuilder::new().schema(Some(described(schema()))).build();
            RequestBodyBuilder::new().content(JSON, content).build()
        });
        OperationBuilder::new()
            .operation_id(Some(operation_id(method, path)))
            .tag(noun)
            .summary(Some(self.summary))
            .parameters(Some(in_path.chain(in_query)))
            .request_body(body)
            .response("200", answer)
            .response("default", refused)
            .build()
    }
}

fn named<T: ToSchema>() -> Described {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
    (RefOr::Ref(Ref::from_schema_name(T::name())), schemas)
}

fn one<T: Document + ToSchema>() -> Described {
    let (item, schemas) = named::<T>();
    let schema = ObjectBuilder::new()
        .property("schema", word(T::SCHEMA))
        .required("schema");
    (
        RefOr::T(AllOfBuilder::new().item(schema).item(item).into()),
        schemas,
    )
}

fn list<T: Item + ToSchema>() -> Described {
    let (item, schemas) = named::<T>();
    let next = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some("what `after` takes for the next page; null on the last one"));
    let list = ObjectBuilder::new()
        .property("schema", word(T::LIST))
        .required("schema")
        .property("items", ArrayBuilder::new().items(item))
        .required("items")
        .property("next", next)
        .required("next");
    (RefOr::T(list.into()), schemas)
}

/// What programs call an operation, made of its method and path, neither of which ever changes: `get_repositories_by_name_tags`.
fn operation_id(method: &Method, path: &str) -> String {
    let mut id = method.as_str().to_lowercase();
    for part in path[ROOT.len()..].split('/').filter(|part| !part.is_empty()) {
        let (by, word) = match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => ("by_", name),
            None => ("", part),
        };
        id = format!("{id}_{by}{}", word.replace(['-', '.'], "_"));
    }
    id
}

fn word(text: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([text]))
}

fn parameter(name: &str, place: ParameterIn, kind: Type, help: Option<&str>) -> Parameter {
    let required = match place {
        ParameterIn::Path => Required::True,
        _ => Required::False,
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(help)
        .schema(Some(ObjectBuilder::new().schema_type(kind)))
        .build()
}

impl Api {
    /// One route. `path` is whole, so that it can be searched for: `/api/v1/gc`.
    ///
    /// # Panics
    ///
    /// Where `path` is outside `/api/v1`: no program starts with such a mistake.
    #[must_use]
    pub fn at<H: Handler<T, ()>, T: 'static>(
        mut self,
        method: &Method,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        assert!(super::serves(path), "{path} is outside {ROOT}");
        let (filter, _) = verb(method);
        let takes = Arc::new(Takes {
            queries: doc.queries.iter().map(|(name, ..)| *name).collect(),
            body: doc.body.map(|described| Wanted {
                described,
                shape: OnceLock::new(),
            }),
        });
        let routes: MethodRouter = on(filter, handler)
            .route_layer(from_fn(move |request: Request, next: Next| {
                let takes = Arc::clone(&takes);
                async move {
                    match takes.checked(request).await {
                        Ok(request) => next.run(request).await,
                        Err(refusal) => refusal.into_response(),
                    }
                }
            }))
            .route_layer(map_response(move |mut response: Response| async move {
                response.extensions_mut().insert(Label(path));
                response
            }));
        self.router = self.router.route(path, routes);
        self.routes.push((method.clone(), path, doc));
        self
    }

    /// All of it, with the document at its own route.
    pub(super) fn into_router(self) -> Router {
        let path = "/api/v1/openapi.json";
        let doc = Doc::new("This document: every route, what it takes and what it answers, in OpenAPI 3.1");
        let mut routes = self.routes;
        routes.push((Method::GET, path, doc));
        let text: Arc<OnceLock<String>> = Arc::default();
        let routes = Arc::new(routes);
        let label = map_response(move |mut response: Response| async move {
            response.extensions_mut().insert(Label(path));
            response
        });
        let document = get(move || async move {
            let text =
                text.get_or_init(|| serde_json::to_string_pretty(&document(&routes)).unwrap_or_default());
            let mut response = axum::body::Body::from(text.clone()).into_response();
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            response
        });
        self.router
            .route(path, document.route_layer(label))
            .method_not_allowed_fallback(|method: Method| async move { Refusal::method(&method) })
            .fallback(|request: Request| async move { Refusal::nowhere(request.uri().path()) })
    }
}

/// What a route takes, as its [`Doc`] says.
struct Takes {
    queries: Vec<&'static str>,
    body: Option<Wanted>,
}

/// What a body must look like, made when the first one comes.
struct Wanted {
    described: fn() -> Described,
    shape: OnceLock<Shape>,
}

impl Wanted {
    fn check(&self, given: &serde_json::Value) -> Result<(), Refusal> {
        let made = || {
            let (schema, others) = (self.described)();
            Shape::new(&schema, &others)
        };
        self.shape.get_or_init(made).check(given).map_err(Refusal::bad)
    }
}

impl Takes {
    /// The request as it came, if nothing in it is other than documented.
    async fn checked(&self, request: Request) -> Result<Request, Refusal> {
        refuse_unknown(&self.queries, &request)?;
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(request);
        }
        let (head, body) = request.into_parts();
        let most = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
        let body = axum::body::to_bytes(body, most)
            .await
            .map_err(|_| Refusal::too_large(BODY_BYTES_MAX))?;
        if !body.is_empty() || head.headers.contains_key(CONTENT_TYPE) {
            request::check_is_json(&head.headers)?;
        }
        let given = request::json(&body)?;
        match &self.body {
            Some(wanted) => wanted.check(&given)?,
            None if given == serde_json::json!({}) => {}
            None => return Err(Refusal::bad("this path takes no body, or an empty object: `{}`")),
        }
        Ok(Request::from_parts(head, body.into()))
    }
}

/// The methods that routes have here.
fn verb(method: &Method) -> (MethodFilter, HttpMethod) {
    match *method {
        Method::GET => (MethodFilter::GET, HttpMethod::Get),
        Method::POST => (MethodFilter::POST, HttpMethod::Post),
        Method::PUT => (MethodFilter::PUT, HttpMethod::Put),
        Method::PATCH => (MethodFilter::PATCH, HttpMethod::Patch),
        Method::DELETE => (MethodFilter::DELETE, HttpMethod::Delete),
        ref other => unreachable!("no route takes {other}"),
    }
}

fn document(routes: &[(Method, &'static str, Doc)]) -> OpenApi {
    let (mut paths, mut schemas) = (Paths::default(), Schemas::default());
    for (method, path, doc) in routes {
        let (_, documented) = verb(method);
        paths.add_path_operation(*path, vec![documented], doc.operation(method, path, &mut schemas));
    }
    let mut of_problem = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut of_problem);
    schemas.extend(of_problem);
    let login = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build());
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Landfall's admin API")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Over HTTP with the login of a user of `admin.users`; on the server's unix socket without one.",
                ))
                .build(),
        )
        .paths(paths)
        .components(Some(
            ComponentsBuilder::new()
                .schemas_from_iter(schemas)
                .security_scheme("login", login)
                .build(),
        ))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>("login", [])]))
        .build()
}

fn refuse_unknown(known: &[&str], request: &Request) -> Result<(), Refusal> {
    let query = Query::read(request.uri().query());
    let mut seen = Vec::new();
    for name in query.names() {
        if !known.contains(&name) {
            let takes = match known {
                [] => "takes no parameters".to_owned(),
                known => format!("takes {}", known.join(", ")),
            };
            return Err(Refusal::bad(format!(
                "unknown parameter `{name}`: this path {takes}"
            )));
        }
        if seen.contains(&name) {
            return Err(Refusal::bad(format!(
                "the parameter `{name}` stands more than once"
            )));
        }
        seen.push(name);
    }
    Ok(())
}
