//! What nothing replaces: the supervisor of a stream, a writer's thread, the task of a sink.
//!
//! Should one of them panic, its streams would stand still while everything else is well, and nobody
//! would hear of it. So the process is not alive any more from then on: whoever watches it (systemd,
//! the liveness probe, an application) starts it again, and what was missed is read again.

use crate::observe::registry::Registry;

/// Held by what nothing replaces, for as long as it runs.
#[derive(Debug)]
pub(crate) struct Vital {
    registry: Registry,
    what: &'static str,
}

impl Vital {
    pub(crate) fn new(registry: &Registry, what: &'static str) -> Self {
        Self { registry: registry.clone(), what }
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let what = self.what;
            tracing::error!(what, "a panic, which is a bug: this process has to be started again");
            self.registry.note_death();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix::{Actor, AsyncContext as _, Context};

    use super::*;
    use crate::requests::{Requests, answer_pings};

    struct Doomed(#[expect(dead_code, reason = "it is dropped")] Vital);

    impl Actor for Doomed {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.run_later(Duration::ZERO, |_, _| panic!("on purpose"));
        }
    }

    /// Whether it is alive still after this.
    fn after(run: impl AsyncFnOnce(Vital)) -> bool {
        actix_rt::System::new().block_on(async {
            let (requests, receiver) = Requests::channel(Registry::default());
            actix_rt::spawn(answer_pings(receiver.pings));
            run(Vital::new(requests.registry(), "test")).await;
            requests.is_alive(Duration::from_secs(10)).await
        })
    }

    #[test]
    fn a_panic_of_what_nothing_replaces_is_the_death_of_the_process() {
        assert!(after(async |vital| drop(vital)), "an end in order");
        assert!(!after(async |vital| {
            let doomed = Doomed(vital).start();
            while doomed.connected() {
                tokio::task::yield_now().await;
            }
        }));
        assert!(!after(async |vital| {
            let doomed = actix_rt::spawn(async move {
                let _vital = vital;
                panic!("on purpose");
            });
            assert!(doomed.await.is_err());
        }));
        assert!(!after(async |vital| {
            let doomed = std::thread::spawn(move || {
                let _vital = vital;
                panic!("on purpose");
            });
            assert!(doomed.join().is_err());
        }));
    }
}
