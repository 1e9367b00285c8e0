//! The control port: faults in, truth and state out.
//!
//! Errors are `{"message": "…"}` with 400 (not such an object) or 422 (out of range).

use actix_web::{
    HttpResponse,
    web::{self, Bytes, Data, ServiceConfig},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{model::Forgotten, state::Shared};
use crate::control_port::{Refused, events_per_hour, object};

/// What is to go wrong: one flat object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: Kind,
    /// To how many connections or requests; 1 unless given.
    #[serde(default)]
    pub count: Option<u64>,
    /// To all connections.
    #[serde(default)]
    pub all: bool,
    /// How long a hang lasts, for ever unless given; or after how long a heartbeat comes.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// With which status requests are answered; 503 unless given.
    #[serde(default)]
    pub status: Option<u16>,
    /// After how long they are to be tried again.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
    /// How it shows that something is forgotten; as configured unless given.
    #[serde(default)]
    pub answer: Option<Forgotten>,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The socket stays open, and nothing comes any more.
    Hang,
    /// A connection is closed without its proper end.
    Cut,
    /// It ends properly, as on a deploy.
    End,
    /// What there was until now is forgotten.
    Forget,
    /// Requests for the stream are refused.
    Status,
    /// Heartbeats come after so long, whatever is announced.
    Heartbeats,
    /// Requests are refused no longer, and heartbeats come in time.
    Clear,
}

impl Fault {
    /// Of that kind, to one connection or request.
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            count: None,
            all: false,
            for_ms: None,
            status: None,
            retry_after_s: None,
            answer: None,
        }
    }
}

pub(super) fn routes(app: &mut ServiceConfig) {
    app.route("/fault", web::post().to(fault))
        .route("/truth", web::get().to(truth))
        .route("/truth/summary", web::get().to(summary))
        .route("/state", web::get().to(state))
        .route("/generate", web::post().to(generate))
        .route("/shutdown", web::post().to(shutdown));
}

async fn fault(shared: Data<Shared>, body: Bytes) -> Result<HttpResponse, Refused> {
    let fault: Fault = object(&body)?;
    if fault.status.is_some_and(|status| !(200..=599).contains(&status)) {
        return Err(Refused::unprocessable("`status` is 200 to 599"));
    }
    Ok(HttpResponse::Ok().json(json!({"affected": shared.lock().fault(&fault)})))
}

async fn truth(shared: Data<Shared>) -> HttpResponse {
    let (model, newest) = {
        let state = shared.lock();
        (state.model.clone(), state.newest())
    };
    let rows = stream::unfold(1, move |from| {
        let mut ndjson = Vec::new();
        let next = newest.saturating_add(1).min(from + ROWS_MAX);
        for number in from..next {
            // A row always serializes, and memory takes everything.
            drop(serde_json::to_writer(&mut ndjson, &model.row(number)));
            ndjson.push(b'\n');
        }
        let rows = Ok::<_, std::convert::Infallible>(Bytes::from(ndjson));
        std::future::ready((from < next).then_some((rows, next)))
    });
    HttpResponse::Ok().content_type("application/x-ndjson").streaming(rows)
}

/// Rows rendered at a time.
const ROWS_MAX: u64 = 200;

async fn summary(shared: Data<Shared>) -> HttpResponse {
    let newest = shared.lock().newest();
    HttpResponse::Ok().json(json!({"versions": newest}))
}

async fn state(shared: Data<Shared>) -> HttpResponse {
    let view = shared.lock().view();
    HttpResponse::Ok().json(view)
}

async fn generate(shared: Data<Shared>, body: Bytes) -> Result<HttpResponse, Refused> {
    let events_per_hour = events_per_hour(&body)?;
    shared.lock().set_rate(events_per_hour);
    Ok(HttpResponse::Ok().json(json!({"events_per_hour": events_per_hour})))
}

async fn shutdown(shared: Data<Shared>) -> HttpResponse {
    shared.stop();
    HttpResponse::Ok().json(json!({}))
}
