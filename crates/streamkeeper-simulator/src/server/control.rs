//! The control port, on actix-web: faults in, truth and state out.
//!
//! The calls are listed at [`server`](super).
//!
//! Errors are `{"message": "…"}` with 400 (not such an object), 404 (no such stream or organization), 409 (the
//! service refused) or 422 (something is missing).

use std::{
    future::{Ready, ready},
    net::TcpListener,
    sync::Arc,
};

use actix_web::{
    App, FromRequest, HttpRequest, HttpResponse, HttpServer,
    dev::{Payload, Server},
    http::StatusCode,
    web::{self, Bytes, Data, Query},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    organizations::Organizations,
    state::{FaultError, Organization},
};
use crate::{
    control_port::{Refused, events_per_hour, object},
    fault::{Fault, FaultRequest},
    model::{Kind, Millis},
};

/// What `GET /truth/summary` shows: how many of what there are so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthSummary {
    /// Versions of any kind.
    pub versions: u64,
    /// Data records.
    pub records: u64,
    /// Versions that correct a record.
    pub corrected: u64,
    /// Versions that withdraw a record.
    pub withdrawn: u64,
    /// `rule` events.
    pub rules: u64,
    /// `connection` events.
    pub connections: u64,
    /// When the last of them becomes available, in the service's time, milliseconds since the
    /// epoch; 0 if there are none.
    pub last_available_ms: Millis,
}

/// The control server, listening.
pub(super) fn server(
    organizations: Arc<Organizations>,
    listener: TcpListener,
) -> std::io::Result<Server> {
    let app = move || {
        App::new()
            .app_data(Data::from(Arc::clone(&organizations)))
            .route("/fault", web::post().to(fault))
            .route("/truth", web::get().to(truth))
            .route("/truth/summary", web::get().to(summary))
            .route("/state", web::get().to(state))
            .route("/generate", web::post().to(generate))
            .route("/shutdown", web::post().to(shutdown))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1);
    Ok(server.listen(listener)?.run())
}

/// The organization that a call is about: `?organization=7`, or the first.
struct Chosen(Arc<Organization>);

#[derive(Deserialize)]
struct Choice {
    organization: Option<usize>,
}

impl FromRequest for Chosen {
    type Error = Refused;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let chosen = || {
            let choice = Query::<Choice>::from_query(request.query_string()).ok()?;
            let organizations = request.app_data::<Data<Organizations>>()?;
            let found = organizations.numbered(choice.organization.unwrap_or(1))?;
            Some(Self(Arc::clone(found)))
        };
        let refused = || Refused::new(StatusCode::NOT_FOUND, "no such organization");
        ready(chosen().ok_or_else(refused))
    }
}

async fn fault(
    organizations: Data<Organizations>,
    Chosen(organization): Chosen,
    body: Bytes,
) -> Result<HttpResponse, Refused> {
    let fault = Fault::try_from(object::<FaultRequest>(&body)?);
    let fault = fault.map_err(|missing| Refused::unprocessable(missing.to_string()))?;
    let affected = organizations.fault(&organization, fault).map_err(|error| {
        let status = match error {
            FaultError::UnknownStream => StatusCode::NOT_FOUND,
            FaultError::Refused(_) => StatusCode::CONFLICT,
        };
        Refused::new(status, error.to_string())
    })?;
    Ok(HttpResponse::Ok().json(json!({"affected": affected})))
}

async fn truth(Chosen(organization): Chosen) -> HttpResponse {
    let rows = stream::unfold((organization, 0), |(organization, from)| async move {
        let rows = organization.truth(from, ROWS_MAX);
        let mut ndjson = Vec::new();
        for row in &rows {
            // A row always serializes, and memory takes everything.
            serde_json::to_writer(&mut ndjson, row).ok()?;
            ndjson.push(b'\n');
        }
        let next = (organization, from + rows.len());
        (!rows.is_empty()).then(|| (Ok::<_, std::convert::Infallible>(Bytes::from(ndjson)), next))
    });
    HttpResponse::Ok().content_type("application/x-ndjson").streaming(Box::pin(rows))
}

/// Rows rendered at a time.
const ROWS_MAX: usize = 200;

async fn summary(Chosen(organization): Chosen) -> HttpResponse {
    HttpResponse::Ok().json(TruthSummary::of(&organization))
}

async fn state(Chosen(organization): Chosen) -> HttpResponse {
    let view = organization.lock().view();
    HttpResponse::Ok().json(view)
}

async fn generate(Chosen(organization): Chosen, body: Bytes) -> Result<HttpResponse, Refused> {
    let events_per_hour = events_per_hour(&body)?;
    let mut state = organization.lock();
    let now = state.now();
    state.model.set_rate(events_per_hour, now);
    Ok(HttpResponse::Ok().json(json!({"events_per_hour": events_per_hour})))
}

async fn shutdown(organizations: Data<Organizations>) -> HttpResponse {
    organizations.stop.send_replace(true);
    HttpResponse::Ok().json(json!({}))
}

impl TruthSummary {
    pub(super) fn of(organization: &Organization) -> Self {
        let mut state = organization.lock();
        let now = state.now();
        state.model.advance(now);
        let events = state.model.events();
        let count = |test: &dyn Fn(&crate::model::Event) -> bool| {
            events.iter().filter(|event| test(event)).count() as u64
        };
        Self {
            versions: events.len() as u64,
            records: count(&|e| e.kind == Kind::Data && e.version == 0),
            corrected: count(&|e| e.version > 0 && !e.withdrawn),
            withdrawn: count(&|e| e.withdrawn),
            rules: count(&|e| e.kind == Kind::Rule),
            connections: count(&|e| e.kind == Kind::Connection),
            last_available_ms: events.iter().map(|e| e.available_at).max().unwrap_or(0),
        }
    }
}
