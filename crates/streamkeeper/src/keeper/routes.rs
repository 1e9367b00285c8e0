//! The endpoint's routes in the server of an embedding application.

use actix_web::web;

use crate::surface::http::{Options, routes};

use super::Streamkeeper;

/// The endpoint's routes for the server of an embedding application.
///
/// Call it once, outside of the server's factory: its clones share what they know of wrong tokens.
/// The routes look after their own token and headers. A check of the `Host` header is left to the
/// application, which alone knows its names.
///
/// ```no_run
/// use actix_web::{App, HttpServer, web};
/// use streamkeeper::{Streamkeeper, http};
///
/// # async fn example(keeper: Streamkeeper) -> std::io::Result<()> {
/// let endpoint = http::configure(&keeper, &http::Options::default());
/// let server = HttpServer::new(move || {
///     // /streams/metrics, /streams/livez, /streams/status, …
///     App::new().service(web::scope("/streams").configure(endpoint.clone()))
/// });
/// server.bind("127.0.0.1:8080")?.run().await
/// # }
/// ```
pub fn configure(
    keeper: &Streamkeeper,
    options: &Options,
) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static + use<> {
    routes(keeper.requests(), options)
}
