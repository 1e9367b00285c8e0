//! Which form of the metrics a request asks for.
//!
//! OpenMetrics for who names it in `Accept` and does not like the text format better; the text format for
//! everybody else, also for who would take neither: a scrape that fails helps nobody.

use actix_web::HttpMessage;
use actix_web::http::header::{Accept, Header as _, Quality};

use crate::surface::metrics::Format;

/// The form for the request's `Accept`; one that cannot be read is none. Among equals the one that is named
/// first wins, and any name over `*`.
pub(super) fn format(request: &impl HttpMessage) -> Format {
    let Ok(accept) = Accept::parse(request) else { return Format::Text };
    let mut open_metrics = Offer::NONE;
    let mut text = Offer::NONE;
    for (place, range) in accept.iter().enumerate() {
        let version = range.item.get_param("version");
        let is_version = |known: &str| version.as_ref().is_none_or(|version| *version == known);
        let (offer, precision) = match range.item.essence_str() {
            // What reads the draft, 0.0.1, reads all that we write.
            "application/openmetrics-text" if is_version("1.0.0") || is_version("0.0.1") => {
                (&mut open_metrics, 2)
            }
            "text/plain" if is_version("0.0.4") => (&mut text, 2 + u8::from(version.is_some())),
            "text/*" => (&mut text, 1),
            "*/*" => (&mut text, 0),
            _ => continue,
        };
        offer.note(Offer { precision: Some(precision), quality: range.quality, place });
    }
    let is_named = text.precision >= Some(2);
    let wins = open_metrics.quality > text.quality
        || open_metrics.quality == text.quality && (!is_named || open_metrics.place < text.place);
    if open_metrics.quality > Quality::ZERO && wins { Format::OpenMetrics } else { Format::Text }
}

/// What a header says about one form.
struct Offer {
    /// How exactly it is named; `None`: it is not.
    precision: Option<u8>,
    quality: Quality,
    place: usize,
}

impl Offer {
    const NONE: Self = Self { precision: None, quality: Quality::ZERO, place: usize::MAX };

    /// The most exact range counts, of several the one that is liked best (RFC 9110, 12.5.1).
    fn note(&mut self, other: Self) {
        if (other.precision, other.quality) > (self.precision, self.quality) {
            *self = other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header;
    use actix_web::test::TestRequest;

    fn asked(accept: &str) -> Format {
        format(&TestRequest::default().insert_header((header::ACCEPT, accept)).to_http_request())
    }

    #[test]
    fn open_metrics_is_for_who_asks_for_it() {
        for accept in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8",
            // Prometheus 2 and 3, and one of before 2.35.
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;\
             q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;\
             escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "*/*, application/openmetrics-text",
            "text/*;q=1, text/plain;q=0.2, application/openmetrics-text;q=0.3",
            "application/openmetrics-text, text/plain",
            "application/openmetrics-text;q=0.001",
            "application/openmetrics-text;q=0.5, text/plain;q=0",
        ] {
            assert_eq!(asked(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn everybody_else_is_given_text() {
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/plain; version=0.0.4",
            "text/html, */*;q=0.8",
            "image/png",
            "application/*",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=nonsense",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.4, text/plain;q=0.5",
            "application/openmetrics-text;q=0.4, */*;q=0.5",
            "text/plain, application/openmetrics-text",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=\
             delimited, text/plain;version=0.0.4;q=0.5, application/openmetrics-text;q=0.25",
        ] {
            assert_eq!(asked(accept), Format::Text, "{accept}");
        }
    }
}
