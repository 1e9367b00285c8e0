//! The control port: faults in, truth and state out.
//!
//! Errors are `{"message": "…"}` with 400 (not such an object) or 422 (out of range).

use actix_web::{
    HttpResponse,
    web::{self, Bytes, Data, ServiceConfig},
};
use futures_util::stream;
use serde_json::json;

use super::{fault::Fault, state::Shared};
use crate::control_port::{Refused, events_per_hour, object};

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
