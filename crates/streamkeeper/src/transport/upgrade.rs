//! Requests that ask for another protocol.
//!
//! awc writes the header `Connection` itself, and its builder of requests has no word for one that upgrades; its
//! middleware sees the head before it is written.

use actix_http::{ConnectionType, RequestHeadType};
use actix_service::{Service, forward_ready};
use awc::error::SendRequestError;
use awc::http::header::UPGRADE;
use awc::middleware::Transform;
use awc::{ConnectRequest, ConnectResponse};

/// Has `Connection: upgrade` written where the header `Upgrade` is.
pub(super) struct Upgrade;

/// What it makes of whatever sends requests.
pub(super) struct Upgrading<S> {
    sender: S,
}

impl<S> Transform<S, ConnectRequest> for Upgrade
where
    S: Service<ConnectRequest, Response = ConnectResponse, Error = SendRequestError>,
{
    type Transform = Upgrading<S>;

    fn new_transform(self, sender: S) -> Upgrading<S> {
        Upgrading { sender }
    }
}

impl<S> Service<ConnectRequest> for Upgrading<S>
where
    S: Service<ConnectRequest, Response = ConnectResponse, Error = SendRequestError>,
{
    type Response = ConnectResponse;
    type Error = SendRequestError;
    type Future = S::Future;

    forward_ready!(sender);

    fn call(&self, mut request: ConnectRequest) -> S::Future {
        if let ConnectRequest::Client(RequestHeadType::Owned(head), ..) = &mut request
            && head.headers.contains_key(UPGRADE)
        {
            head.set_connection_type(ConnectionType::Upgrade);
        }
        self.sender.call(request)
    }
}
