//! What is wanted of the shell, in order, until it asks for it.

use std::collections::VecDeque;

use crate::id::ConnectionId;

use super::{Output, Report};

/// The outputs that have not been polled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects(VecDeque<Output>);

impl Effects {
    pub(crate) fn push(&mut self, output: impl Into<Output>) {
        self.0.push_back(output.into());
    }

    pub(crate) fn report(&mut self, report: impl Into<Report>) {
        self.push(Output::Report(report.into()));
    }

    pub(crate) fn kill(&mut self, connection: ConnectionId) {
        self.push(Output::Kill(connection));
    }

    pub(crate) fn drain(&mut self, connection: ConnectionId) {
        self.push(Output::Drain(connection));
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.0.pop_front()
    }
}
