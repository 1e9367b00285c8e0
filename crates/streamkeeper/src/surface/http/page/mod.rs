//! The page at `/`: whether anything is lost, what each stream does, what was done about trouble.
//!
//! A few static files inside the binary, which load nothing from elsewhere (the content security
//! policy sees to it), and [`feed`], from which the page's script draws. It knows what `/status`
//! knows and the last hour besides; it changes nothing.
//!
//! The routes are relative, so that an embedding application can mount them anywhere.

mod feed;
mod places;
mod words;

use std::sync::Arc;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETag, EntityTag, Header as _, IfNoneMatch,
};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest as _, Sha256};

use self::feed::Overviews;
use self::places::Places;
use super::routes::{only, reading};
use crate::observe::registry::Registry;

/// What the page's routes share. Cheap to clone: all clones count the same clients.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    overviews: Arc<Overviews>,
    places: Arc<Places>,
}

impl Page {
    /// A page about these streams.
    pub(crate) fn new(registry: Registry) -> Self {
        Self { overviews: Arc::new(Overviews::new(registry)), places: Arc::default() }
    }

    /// Adds the routes.
    pub(crate) fn configure(&self, routes: &mut ServiceConfig) {
        routes.app_data(Data::new(self.clone()));
        for file in &FILES {
            let tag = EntityTag::new_strong(tag(file.text));
            let answer =
                move |request: HttpRequest| std::future::ready(file.answer(&request, &tag));
            routes.service(reading(file.path, answer));
        }
        let feed = web::resource("/api/feed").route(web::get().to(feed::serve));
        routes.service(only("GET", feed));
    }
}

/// Nothing from anywhere else, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A part of the page.
struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const FILES: [File; 6] = [
    File { path: "/", kind: "text/html; charset=utf-8", text: include_str!("index.html") },
    File { path: "/page.css", kind: "text/css; charset=utf-8", text: include_str!("page.css") },
    File { path: "/page.js", kind: SCRIPT, text: include_str!("page.js") },
    File { path: "/stream.js", kind: SCRIPT, text: include_str!("stream.js") },
    File { path: "/draw.js", kind: SCRIPT, text: include_str!("draw.js") },
    File { path: "/favicon.svg", kind: "image/svg+xml", text: include_str!("favicon.svg") },
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

impl File {
    fn answer(&self, request: &HttpRequest, tag: &EntityTag) -> HttpResponse {
        let known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
            Err(_) => false,
        };
        let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response.insert_header(ETag(tag.clone()));
        // Asked for each time, and answered with 304: a new version is seen at once.
        response.insert_header((CACHE_CONTROL, "no-cache"));
        response.insert_header((CONTENT_SECURITY_POLICY, POLICY));
        if known {
            return response.finish();
        }
        response.insert_header((CONTENT_TYPE, self.kind)).body(self.text)
    }
}

/// A name of a text that changes with it.
fn tag(text: &str) -> String {
    Sha256::digest(text).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
