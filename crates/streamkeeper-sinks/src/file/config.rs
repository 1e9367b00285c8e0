//! The table of a `file` sink: `path` and `format`.

use std::path::{Path, PathBuf};

use streamkeeper_sink::{Sink, SinkConfigError, SinkFactory, SinkTable};

use super::FileSink;
use crate::Format;
use crate::stdout::{StdoutConfig, StdoutSink};

/// The settings of a `file` sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// The file, relative to the current folder. Required. In the configuration `-` is
    /// standard output, which makes the sink a [`StdoutSink`].
    pub path: PathBuf,
    /// What a line holds. Default: `cloudevents`.
    pub format: Format,
}

impl FileConfig {
    fn read(mut table: SinkTable) -> Result<Self, SinkConfigError> {
        let expected = "the path of a file, or \"-\" for standard output";
        let path: PathBuf = table.require("path", expected)?;
        if path.file_name().is_none() {
            return Err(SinkConfigError::new("path", format!("must be {expected}")));
        }
        let format = table.take("format", Format::EXPECTED)?.unwrap_or_default();
        table.finish()?;
        Ok(Self { path, format })
    }
}

/// Makes `file` sinks.
#[derive(Clone, Copy, Debug)]
pub struct FileFactory;

impl SinkFactory for FileFactory {
    fn type_name(&self) -> &'static str {
        "file"
    }

    fn check(&self, _name: &str, table: SinkTable) -> Result<(), SinkConfigError> {
        FileConfig::read(table).map(drop)
    }

    fn output(&self, table: SinkTable) -> Option<(&'static str, PathBuf)> {
        let FileConfig { path, .. } = FileConfig::read(table).ok()?;
        // Lines of several sinks are still lines.
        let is_file = path.as_os_str() != "-";
        is_file.then(|| ("path", one_name(&path)))
    }

    fn build(&self, name: &str, table: SinkTable) -> Result<Box<dyn Sink>, SinkConfigError> {
        let config = FileConfig::read(table)?;
        let path = config.path.clone();
        let sink: Result<Box<dyn Sink>, _> = if path.as_os_str() == "-" {
            StdoutSink::open(StdoutConfig { format: config.format }).map(|sink| Box::new(sink) as _)
        } else {
            FileSink::open(name, config).map(|sink| Box::new(sink) as _)
        };
        sink.map_err(|error| {
            SinkConfigError::new("path", format!("cannot be opened: {}: {error}", path.display()))
        })
    }
}

/// The same for every way to write the path of a file, whether it is there yet or not.
fn one_name(path: &Path) -> PathBuf {
    let known = |path: &Path| path.canonicalize().ok();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    known(&path).or_else(|| Some(known(path.parent()?)?.join(path.file_name()?))).unwrap_or(path)
}
