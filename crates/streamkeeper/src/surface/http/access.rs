//! Who may ask: the `Host` header, the token, the pace of wrong ones.
//!
//! A loopback address without a token is open to whoever is on the machine, and to the pages in their
//! browsers but for the check of `Host`: a page of another site whose name has been pointed at
//! 127.0.0.1 (DNS rebinding) still sends that name. With a token, it is needed for everything but the
//! two health checks, as `Authorization: Bearer`, or as the password of `Basic`, which browsers can ask
//! for.
//!
//! The health checks say a word, and nothing that is worth a protection: they answer everybody, since a
//! load balancer asks under whatever name it likes, or under none (HTTP/1.0). What `?verbose` adds to
//! that word has names in it, and is protected like the rest.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::Shared;
use super::throttle::{FREE, Throttle};
use streamkeeper_sink::Secret;

/// Who may do what.
#[derive(Debug)]
pub(crate) struct Access {
    /// A reload may change it.
    grant: RwLock<Grant>,
    /// Only names of this machine are taken as `Host`.
    is_local: bool,
    throttle: Throttle,
}

/// What the configuration says of the token.
#[derive(Clone, Copy, Debug)]
struct Grant {
    /// Its digest: comparing digests tells nothing of the token's length, either.
    token: Option<[u8; 32]>,
    /// Whoever has it may steer.
    steering: bool,
}

impl Grant {
    fn new(token: Option<&Secret>, steering: bool) -> Self {
        let token = token.map(|token| Sha256::digest(token.expose()).into());
        Self { token, steering: steering && token.is_some() }
    }
}

/// Whether a request has shown what it needs to see everything; kept with the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trusted(pub(super) bool);

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// No token, or a wrong one.
    Token,
    /// Too many wrong ones; wait so long.
    Pace(Duration),
}

impl Access {
    pub(super) fn new(token: Option<&Secret>, steering: bool, is_local: bool) -> Self {
        let grant = RwLock::new(Grant::new(token, steering));
        Self { grant, is_local, throttle: Throttle::default() }
    }

    /// From here on it is this token.
    pub(super) fn renew(&self, token: Option<&Secret>, steering: bool) {
        let grant = Grant::new(token, steering);
        *self.grant.write().unwrap_or_else(PoisonError::into_inner) = grant;
    }

    fn grant(&self) -> Grant {
        *self.grant.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether streams may be steered, by whoever has the token.
    pub(super) fn steering(&self) -> bool {
        self.grant().steering
    }

    /// Checks the token of a request.
    fn check(&self, headers: &HeaderMap, peer: IpAddr, now: Instant) -> Result<(), Refusal> {
        let Some(token) = self.grant().token else { return Ok(()) };
        if let Some(wait) = self.throttle.wait(peer, now) {
            return Err(Refusal::Pace(wait));
        }
        // A browser asks without any before it asks its user.
        let given = credentials(headers).ok_or(Refusal::Token)?;
        if bool::from(Sha256::digest(&given).as_slice().ct_eq(&token)) {
            self.throttle.right(peer);
            return Ok(());
        }
        let count = self.throttle.wrong(peer, now);
        if count == 1 || count == FREE {
            tracing::warn!(%peer, count, "a wrong token at the HTTP endpoint");
        }
        Err(Refusal::Token)
    }
}

/// The token that a request brings.
fn credentials(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = value.split_at_checked(space)?;
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let decoded = STANDARD.decode(rest).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

/// Whether the one `Host` header names this machine, on whatever port.
fn is_local_name(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST);
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Lets a request through, or answers it.
pub(super) async fn guard(
    shared: Arc<Shared>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let access = &shared.access;
    let is_health = matches!(request.match_info().unprocessed(), "/livez" | "/readyz");
    let is_open = is_health && !is_verbose(request.query_string());
    if access.is_local && !is_open && !is_local_name(request.headers()) {
        let text = "this address is for this machine: use localhost or 127.0.0.1 as its name\n";
        let refused = HttpResponse::build(StatusCode::MISDIRECTED_REQUEST).body(text);
        return Ok(request.into_response(refused));
    }
    let peer = peer(&request);
    let outcome = access.check(request.headers(), peer, Instant::now());
    request.extensions_mut().insert(Trusted(outcome.is_ok()));
    match outcome {
        Err(refusal) if !is_health => Ok(request.into_response(refused(refusal))),
        _ => next.call(request).await,
    }
}

/// Whether a query asks for more than a word: `verbose`, `verbose=`, `verbose=1`.
pub(super) fn is_verbose(query: &str) -> bool {
    query.split('&').any(|key| key == "verbose" || key.starts_with("verbose="))
}

/// Who asks. A connection has an address as long as it is open; what has none is one nobody.
fn peer(request: &ServiceRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical())
}

fn refused(refusal: Refusal) -> HttpResponse {
    match refusal {
        Refusal::Token => HttpResponse::Unauthorized()
            .append_header((header::WWW_AUTHENTICATE, "Bearer realm=\"streamkeeper\""))
            .append_header((
                header::WWW_AUTHENTICATE,
                "Basic realm=\"streamkeeper: any user, the token as password\", charset=\"UTF-8\"",
            ))
            .insert_header(ContentType::plaintext())
            .body("the token is needed: the one of [service] in the configuration\n"),
        Refusal::Pace(wait) => HttpResponse::TooManyRequests()
            .insert_header((header::RETRY_AFTER, wait.as_secs() + 1))
            .insert_header(ContentType::plaintext())
            .body("too many wrong tokens from this address: wait\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_a_password() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let given = |value: &str| credentials(&headers(header::AUTHORIZATION, value));
        let token = Some(b"s3cret:x".to_vec());
        assert_eq!(given("Bearer s3cret:x"), token);
        assert_eq!(given("bearer  s3cret:x"), token);
        assert_eq!(given(&basic("anybody:s3cret:x")), token);
        for wrong in ["s3cret:x", "Digest s3cret:x", "Basic !", &basic("s3cret")] {
            assert_eq!(given(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        let local = |host: &str| is_local_name(&headers(header::HOST, host));
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1:1", "127.1.2.3", "[::1]:9464"] {
            assert!(local(host), "{host}");
        }
        for host in ["example.com", "127.0.0.1.example.com", "10.0.0.1:9464", "[::2]", "", "::1"] {
            assert!(!local(host), "{host}");
        }
        assert!(!is_local_name(&HeaderMap::new()));
        let mut several = headers(header::HOST, "localhost");
        several.append(header::HOST, HeaderValue::from_static("example.com"));
        assert!(!is_local_name(&several));
    }

    #[test]
    fn a_right_token_is_no_longer_tried_after_too_many_wrong_ones() {
        let access = Access::new(Some(&Secret::new("right")), true, false);
        let now = Instant::now();
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let elsewhere = IpAddr::V4(Ipv4Addr::BROADCAST);
        let [right, wrong] =
            ["Bearer right", "Bearer wrong"].map(|value| headers(header::AUTHORIZATION, value));
        for _ in 0..FREE {
            assert_eq!(access.check(&wrong, peer, now), Err(Refusal::Token));
        }
        assert!(matches!(access.check(&right, peer, now), Err(Refusal::Pace(_))));
        assert_eq!(access.check(&right, elsewhere, now), Ok(()));
        assert_eq!(access.check(&right, peer, now + Duration::from_secs(2)), Ok(()));
        assert_eq!(access.check(&HeaderMap::new(), peer, now), Err(Refusal::Token));
    }
}
