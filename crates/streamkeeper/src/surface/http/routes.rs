//! What is read: metrics, health, version, status and its schema.

use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::dev::HttpServiceFactory;
use actix_web::http::{Method, header};
use actix_web::middleware::DefaultHeaders;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, web};
use serde_json::json;

use crate::api::status::ProcessStatus;
use crate::surface::metrics;

use super::Shared;
use super::accept;
use super::access::{Trusted, is_verbose};
use super::readiness::Readiness;

pub(super) fn configure(config: &mut web::ServiceConfig) {
    // As resources, so that another method is answered as such, and not as an unknown path.
    config
        .service(reading("/metrics", metrics))
        .service(health("/livez", livez))
        .service(health("/readyz", readyz))
        .service(reading("/version", version))
        .service(reading("/status", status))
        .service(reading("/status/schema", schema));
}

/// What is read, with `GET`, or with `HEAD`, as some monitors do.
pub(super) fn reading<F, Arguments>(path: &str, handler: F) -> Resource
where
    F: Handler<Arguments, Output: Responder + 'static>,
    Arguments: FromRequest + 'static,
{
    only("GET, HEAD", get_and_head(path, handler))
}

/// What a load balancer asks: also with `OPTIONS`, as haproxy does unless it is told otherwise, and
/// then the status counts.
fn health<F, Arguments>(path: &str, handler: F) -> impl HttpServiceFactory + use<F, Arguments>
where
    F: Handler<Arguments, Output: Responder + 'static>,
    Arguments: FromRequest + 'static,
{
    const METHODS: &str = "GET, HEAD, OPTIONS";
    let options = web::method(Method::OPTIONS).to(handler.clone());
    only(METHODS, get_and_head(path, handler).route(options))
        .wrap(DefaultHeaders::new().add((header::ALLOW, METHODS)))
}

fn get_and_head<F, Arguments>(path: &str, handler: F) -> Resource
where
    F: Handler<Arguments, Output: Responder + 'static>,
    Arguments: FromRequest + 'static,
{
    web::resource(path).route(web::get().to(handler.clone())).route(web::head().to(handler))
}

/// Answers every other method with those that there are, as RFC 9110 wants it.
pub(super) fn only(methods: &'static str, resource: Resource) -> Resource {
    resource.default_service(web::to(move || async move {
        HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, methods)).finish()
    }))
}

/// The JSON Schema of `/status`, and of what the control socket answers.
#[must_use]
pub fn status_schema() -> serde_json::Value {
    schemars::schema_for!(ProcessStatus).to_value()
}

async fn metrics(request: HttpRequest, shared: web::Data<Shared>) -> impl Responder {
    let format = accept::format(&request);
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, format.content_type()))
        .body(metrics::render(shared.requests.registry(), format))
}

/// Fails only for what a restart mends: see `Requests::is_alive`.
async fn livez(shared: web::Data<Shared>) -> HttpResponse {
    if shared.requests.is_alive(ALIVE_WITHIN).await {
        text(HttpResponse::Ok(), "ok\n")
    } else {
        text(
            HttpResponse::ServiceUnavailable(),
            "the supervising thread does not answer, or a part of the process is gone\n",
        )
    }
}

async fn readyz(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    let Readiness { ready, lines } = Readiness::of(shared.requests.registry());
    let is_trusted = request.extensions().get::<Trusted>().is_some_and(|trusted| trusted.0);
    let is_verbose = is_verbose(request.query_string());
    let verdict = if ready { "ok\n" } else { "not ready\n" };
    let answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    // The lines name streams and sinks.
    let lines = if is_verbose && is_trusted { lines } else { String::new() };
    text(answer, lines + verdict)
}

async fn version() -> impl Responder {
    web::Json(json!({ "name": "streamkeeper", "version": env!("CARGO_PKG_VERSION") }))
}

async fn status(shared: web::Data<Shared>) -> impl Responder {
    web::Json(shared.requests.registry().process_status())
}

async fn schema() -> impl Responder {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/schema+json"))
        .body(status_schema().to_string())
}

fn text(mut answer: actix_web::HttpResponseBuilder, text: impl Into<String>) -> HttpResponse {
    answer.insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8")).body(text.into())
}

/// Half of what a probe waits, as a rule.
const ALIVE_WITHIN: Duration = Duration::from_millis(500);
