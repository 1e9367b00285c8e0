//! The calls on stream resources, as an actix-web application.
//!
//! It is called in process by `front`, which owns the sockets: so a call can be done and its answer
//! lost, which no handler could bring about.

use std::{rc::Rc, sync::Arc};

use actix_http::{Method, Request as HttpRequest, Uri};
use actix_service::{IntoServiceFactory as _, Service, ServiceFactory as _};
use actix_web::{
    App, HttpMessage as _, HttpResponse,
    body::{BoxBody, to_bytes},
    dev::{AppConfig, ServiceResponse},
    web::{self, Bytes, Query, ReqData},
};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use serde::Serialize;

use super::{
    http::{Answer, Request},
    state::{Organization, State},
    wire::{self, BadField, CreateBody, RenameBody, StreamJson},
};
use crate::model::{Refusal, StreamId};

/// The application, ready to be called.
#[derive(Clone)]
pub(super) struct Rest(Rc<dyn Fn(HttpRequest) -> LocalBoxFuture<'static, Answer>>);

impl Rest {
    pub(super) async fn new() -> Self {
        let app = App::new()
            .route("/streams", web::post().to(create))
            .route("/streams", web::get().to(list))
            .route("/streams/{id}", web::get().to(get))
            .route("/streams/{id}", web::put().to(rename))
            .route("/streams/{id}", web::delete().to(delete))
            .default_service(web::to(nothing_here));
        let service = app.into_factory().new_service(AppConfig::default()).await;
        let service = service.ok().map(Rc::new);
        Self(Rc::new(move |request| {
            let service = service.clone();
            async move {
                match service {
                    Some(service) => answer(service.call(request).await).await,
                    None => unavailable(),
                }
            }
            .boxed_local()
        }))
    }

    /// Does a call to an organization.
    pub(super) async fn call(&self, organization: Arc<Organization>, request: Request) -> Answer {
        let mut inner = HttpRequest::with_payload(request.body.into());
        inner.extensions_mut().insert(organization);
        let uri = format!("{}?{}", request.path, request.query);
        let head = inner.head_mut();
        head.method = Method::from_bytes(request.method.as_bytes()).unwrap_or_default();
        head.uri = uri.parse::<Uri>().unwrap_or_default();
        (self.0)(inner).await
    }
}

async fn answer(response: Result<ServiceResponse<BoxBody>, actix_web::Error>) -> Answer {
    let Ok(response) = response else { return unavailable() };
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    Answer { status, retry_after_s: None, body }
}

/// What cannot happen: the application's handlers do not fail.
fn unavailable() -> Answer {
    Answer { status: 500, retry_after_s: None, body: Bytes::new() }
}

/// An error in the form whose turn it is.
pub(super) fn error(state: &mut State, status: u16, field: &str, message: &str) -> Answer {
    let made = state.count_error();
    let body = wire::error(state.config.answers.errors, made, status, field, message);
    Answer { status, retry_after_s: None, body: body.to_string().into() }
}

/// The error for a refusal of the model.
pub(super) fn refused(state: &mut State, refusal: Refusal) -> Answer {
    let field = if refusal == Refusal::DuplicateName { "name" } else { "base" };
    error(state, refusal.status(), field, &refusal.to_string())
}

fn failed(answer: Answer) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    HttpResponse::build(status).body(answer.body)
}

fn bad_field(state: &mut State, BadField(field, message): BadField) -> HttpResponse {
    failed(error(state, 422, field, message))
}

fn done(status: u16, body: &impl Serialize) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status).json(body)
}

/// The organization that is called.
type Called = ReqData<Arc<Organization>>;

async fn create(organization: Called, body: Bytes) -> HttpResponse {
    let mut state = organization.lock();
    let now = state.now();
    let Ok(body) = serde_json::from_slice::<CreateBody>(&body) else {
        return failed(error(&mut state, 400, "base", "the body is not a stream"));
    };
    let new = match body.check() {
        Ok(new) => new,
        Err(bad) => return bad_field(&mut state, bad),
    };
    match state.model.create(new, now) {
        Ok(id) => shown(&mut state, id, None),
        Err(refusal) => failed(refused(&mut state, refusal)),
    }
}

async fn list(
    organization: Called,
    query: Result<Query<Vec<(String, String)>>, actix_web::Error>,
) -> HttpResponse {
    let mut state = organization.lock();
    let Ok(query) = query else {
        return failed(error(&mut state, 400, "base", "the query is malformed"));
    };
    let value = |names: [&str; 2]| {
        let found = query.iter().find(|(key, _)| names.contains(&key.as_str()));
        found.map(|(_, value)| value.as_str())
    };
    let wanted = value(["q", "q[]"]).unwrap_or_default();
    let sort = value(["sort[]", "sort"]).unwrap_or("-created_at");
    let offset = value(["offset", "offset"]).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut found: Vec<_> = state.model.streams().filter(|s| matches(wanted, &s.name)).collect();
    if sort != "created_at" {
        found.reverse(); // the model's order is of creation, and the newest come first
    }
    let total = found.len();
    let page = found.into_iter().skip(offset).take(wire::PAGE_MAX);
    let page: Vec<_> = page.map(|s| StreamJson::new(s, state.model.members(s.id))).collect();
    done(200, &wire::list(state.config.answers.list, &page, offset, total, sort))
}

/// `name=x` is equal, `name~x` is like, no condition is all.
fn matches(wanted: &str, name: &str) -> bool {
    match (wanted.strip_prefix("name="), wanted.strip_prefix("name~")) {
        (Some(equal), _) => name == equal,
        (_, Some(like)) => name.to_lowercase().contains(&like.to_lowercase()),
        _ => true,
    }
}

async fn get(organization: Called, id: web::Path<String>) -> HttpResponse {
    let mut state = organization.lock();
    let now = state.now();
    state.model.advance(now);
    match parse(&id) {
        Ok(id) => shown(&mut state, id, Some(200)),
        Err(refusal) => failed(refused(&mut state, refusal)),
    }
}

async fn rename(organization: Called, id: web::Path<String>, body: Bytes) -> HttpResponse {
    let mut state = organization.lock();
    let now = state.now();
    let Ok(body) = serde_json::from_slice::<RenameBody>(&body) else {
        return failed(error(&mut state, 400, "base", "the body is not a stream"));
    };
    let Some(name) = body.name.filter(|name| !name.is_empty()) else {
        return bad_field(&mut state, BadField("name", "can't be blank"));
    };
    let renamed = parse(&id).and_then(|id| state.model.rename(id, &name, now).map(|()| id));
    match renamed {
        Ok(id) => shown(&mut state, id, Some(200)),
        Err(refusal) => failed(refused(&mut state, refusal)),
    }
}

async fn delete(organization: Called, id: web::Path<String>) -> HttpResponse {
    let mut state = organization.lock();
    let now = state.now();
    match parse(&id).and_then(|id| state.model.delete(id, now)) {
        Ok(stream) => done(200, &StreamJson::new(&stream, 0)),
        Err(refusal) => failed(refused(&mut state, refusal)),
    }
}

async fn nothing_here(organization: Called) -> HttpResponse {
    failed(error(&mut organization.lock(), 404, "base", "Not Found"))
}

fn parse(id: &str) -> Result<StreamId, Refusal> {
    id.parse().map_err(|_| Refusal::NotFound)
}

/// A stream object; with the status of a create unless another is given.
fn shown(state: &mut State, id: StreamId, status: Option<u16>) -> HttpResponse {
    let status = status.unwrap_or(state.config.answers.create_status);
    match state.model.stream(id) {
        Some(stream) => done(status, &StreamJson::new(stream, state.model.members(id))),
        None => failed(refused(state, Refusal::NotFound)),
    }
}
