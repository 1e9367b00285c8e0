//! An answer that sends a `GET` elsewhere.
//!
//! Each step is a connection of its own, under the one [`Control`] of the attempt. What is secret goes to the
//! origin of the base URL alone, whoever sends us where.

use std::cell::RefCell;
use std::rc::Rc;

use awc::http::{Method, header};

use super::control::Control;
use super::error::OpenErrorKind;
use super::exchange::{Asked, HttpTransport, Reply};
use super::tap::Trace;
use super::target::resolve;

/// Steps that are taken; one more is an answer like another. Real chains have one or two (a slash, https).
const STEPS_MAX: usize = 5;

impl HttpTransport {
    /// Sends a request, and sends it again where the answer says, if that is wanted. `trace` is that of the
    /// last step.
    pub(super) async fn follow(
        &self,
        asked: &Asked<'_>,
        control: &Control,
        trace: &RefCell<Rc<Trace>>,
    ) -> Result<Reply, OpenErrorKind> {
        let may_follow = self.settings().redirects && asked.method == Method::GET;
        let mut place = asked.place.to_owned();
        let mut steps = 0;
        loop {
            let own = Trace::new();
            trace.replace(Rc::clone(&own));
            let reply = self.exchange(asked, &place, control, &own).await?;
            let Some(next) = location(&reply).filter(|_| may_follow && steps < STEPS_MAX) else {
                return Ok(reply);
            };
            steps += 1;
            place = next;
            // A handle has one socket at a time.
            drop(reply);
            control.closed().await;
            control.release();
        }
    }
}

/// Where an answer sends us.
fn location(reply: &Reply) -> Option<String> {
    if !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    resolve(&reply.url, reply.headers.get(header::LOCATION)?.to_str().ok()?)
}
