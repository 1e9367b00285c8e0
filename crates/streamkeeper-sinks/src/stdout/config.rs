//! The table of a `stdout` sink: `format` and nothing else.

use streamkeeper_sink::{Sink, SinkConfigError, SinkFactory, SinkTable};

use super::StdoutSink;
use crate::Format;

/// The settings of a `stdout` sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StdoutConfig {
    /// What a line holds. Default: `cloudevents`.
    pub format: Format,
}

impl StdoutConfig {
    fn read(mut table: SinkTable) -> Result<Self, SinkConfigError> {
        let format = table.take("format", Format::EXPECTED)?.unwrap_or_default();
        table.finish()?;
        Ok(Self { format })
    }
}

/// Makes `stdout` sinks.
#[derive(Clone, Copy, Debug)]
pub struct StdoutFactory;

impl SinkFactory for StdoutFactory {
    fn type_name(&self) -> &'static str {
        "stdout"
    }

    fn check(&self, _name: &str, table: SinkTable) -> Result<(), SinkConfigError> {
        StdoutConfig::read(table).map(drop)
    }

    fn build(&self, _name: &str, table: SinkTable) -> Result<Box<dyn Sink>, SinkConfigError> {
        let config = StdoutConfig::read(table)?;
        let sink = StdoutSink::open(config)
            .map_err(|error| SinkConfigError::new("type", format!("has no output: {error}")))?;
        Ok(Box::new(sink))
    }
}
