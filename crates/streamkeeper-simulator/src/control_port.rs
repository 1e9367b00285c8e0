//! What the control ports of the simulators have in common.
//!
//! Errors are `{"message": "…"}` with 400 (not such an object) or another status.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

/// What is refused, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    why: String,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    /// It is understood, and cannot be done.
    pub(crate) fn unprocessable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, why)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status).json(json!({"message": self.why}))
    }
}

/// The object in a body.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        // Says where, not what: serde_json's messages quote their input.
        let place = format!("not such an object: column {}", error.column());
        Refused::new(StatusCode::BAD_REQUEST, place)
    })
}

/// The body of `POST /generate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generate {
    rate: Option<f64>,
    #[serde(default)]
    stop: bool,
}

/// The events an hour that a body of `POST /generate` asks for.
pub(crate) fn events_per_hour(body: &[u8]) -> Result<u64, Refused> {
    let per_second = match object(body)? {
        Generate { stop: true, .. } => 0.0,
        Generate { rate: Some(rate), .. } if (0.0..=RATE_MAX).contains(&rate) => rate,
        _ => return Err(Refused::unprocessable("`rate` is 0 to 100000, or `stop`")),
    };
    Ok((per_second * 3_600.0).round() as u64)
}

/// Events a second.
const RATE_MAX: f64 = 100_000.0;
