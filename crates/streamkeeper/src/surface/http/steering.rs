//! The acts: `POST /api/streams/{name}/recover|pause|resume|reconnect`.
//!
//! Only with a token that comes from a file; each leaves a line in the log, for whoever asks later
//! who it was. A browser that has been given the token sends it along with whatever page asks, so a
//! request that a page of another origin has made is refused.

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::Shared;
use super::routes::only;
use crate::api::act::{Act, SteerError};

pub(super) fn configure(config: &mut web::ServiceConfig) {
    let acts = web::resource("/api/streams/{name}/{act}").route(web::post().to(steer));
    config.service(only("POST", acts));
}

async fn steer(
    request: HttpRequest,
    shared: web::Data<Shared>,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (name, act) = path.into_inner();
    let error = |mut answer: actix_web::HttpResponseBuilder, error: &str| {
        answer.json(json!({ "error": error }))
    };
    let Some(act) = Act::from_word(&act) else {
        return error(
            HttpResponse::NotFound(),
            "the acts are recover, pause, resume and reconnect",
        );
    };
    // Not what the path says: that is anybody's text.
    let known = shared.requests.registry().contains(&name).then_some(name.as_str());
    let (outcome, answer) = if !shared.access.steering() {
        let why = "steering is off: give the endpoint a token with `token_file` in [service]";
        ("off", error(HttpResponse::Forbidden(), why))
    } else if !is_same_origin(request.headers()) {
        ("foreign_origin", error(HttpResponse::Forbidden(), "a page of another origin asks"))
    } else {
        match shared.requests.steer(&name, act) {
            Ok(()) => {
                let accepted = json!({ "stream": name, "act": act, "accepted": true });
                ("accepted", HttpResponse::Accepted().json(accepted))
            }
            Err(why @ SteerError::UnknownStream) => {
                ("unknown_stream", error(HttpResponse::NotFound(), &why.to_string()))
            }
            Err(why) => ("stopped", error(HttpResponse::ServiceUnavailable(), &why.to_string())),
        }
    };
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical().to_string());
    tracing::info!(
        stream = known,
        act = act.word(),
        peer,
        outcome,
        "audit: an act was asked for over HTTP"
    );
    answer
}

/// Whether no page of another origin has made the request. What is no browser sends neither header.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site_is_ours = matches!(text(SEC_FETCH_SITE), None | Some("same-origin" | "none"));
    let origin_is_ours = text(header::ORIGIN).is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some() && authority == text(header::HOST)
    });
    site_is_ours && origin_is_ours
}

const SEC_FETCH_SITE: header::HeaderName = header::HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn a_page_of_another_origin_is_told_apart() {
        let ours = |pairs: &[(header::HeaderName, &'static str)]| {
            let pairs = pairs.iter().cloned();
            let host = (header::HOST, "keeper:9464");
            let pairs = pairs.chain([host]);
            is_same_origin(&pairs.map(|(k, v)| (k, HeaderValue::from_static(v))).collect())
        };
        assert!(ours(&[]));
        assert!(ours(&[(header::ORIGIN, "http://keeper:9464"), (SEC_FETCH_SITE, "same-origin")]));
        assert!(!ours(&[(header::ORIGIN, "http://evil.example")]));
        assert!(!ours(&[(header::ORIGIN, "null")]));
        assert!(!ours(&[(SEC_FETCH_SITE, "cross-site")]));
        assert!(!ours(&[(SEC_FETCH_SITE, "same-site")]));
    }
}
