//! Tests of the configuration: files, errors, environment, secrets.

mod effective;
mod environment;
mod errors;
mod files;
mod robust;
mod secrets;

use std::fs;
use std::path::PathBuf;

use streamkeeper_sink::{Sink, SinkConfigError, SinkFactory, SinkTable};

use super::secret::Surroundings;
use super::{Config, ConfigErrors, load};

/// A sink type `file` with a `path` and a `format`, that is never built.
struct FileFactory;

impl SinkFactory for FileFactory {
    fn type_name(&self) -> &'static str {
        "file"
    }

    fn check(&self, _name: &str, mut table: SinkTable) -> Result<(), SinkConfigError> {
        table.require::<PathBuf>("path", "a path")?;
        table.take::<String>("format", "text")?;
        table.finish()
    }

    fn output(&self, mut table: SinkTable) -> Option<(&'static str, PathBuf)> {
        Some(("path", table.require("path", "a path").ok()?))
    }

    fn build(&self, name: &str, table: SinkTable) -> Result<Box<dyn Sink>, SinkConfigError> {
        self.check(name, table)?;
        Err(SinkConfigError::new("type", "is not built in these tests"))
    }
}

fn factories() -> Vec<Box<dyn SinkFactory>> {
    vec![Box::new(FileFactory)]
}

/// A folder of configuration files, and the environment.
pub(super) struct Setting {
    folder: tempfile::TempDir,
    pub(super) surroundings: Surroundings,
}

impl Setting {
    /// With `text` as the main file.
    pub(super) fn new(text: &str) -> Self {
        let today = Some(jiff::civil::date(2026, 11, 20));
        let surroundings = Surroundings { variables: [].into(), today };
        let setting = Self { folder: tempfile::tempdir().unwrap(), surroundings };
        setting.file("main.toml", text)
    }

    pub(super) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.surroundings.variables.insert(name.into(), value.into());
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn load(&self) -> Result<Config, ConfigErrors> {
        load::file(&self.path("main.toml"), None, &factories(), &self.surroundings)
    }

    fn data_dir(&self) -> Result<PathBuf, ConfigErrors> {
        load::data_dir(&self.path("main.toml"), &self.surroundings)
    }

    /// The problems, one to a line, with paths relative to the folder.
    pub(super) fn problems(&self) -> String {
        let folder = format!("{}/", self.folder.path().display());
        self.load().expect_err("no problem was found").to_string().replace(&folder, "")
    }
}

/// The lines that make a stream.
const STREAM: &str = r#"[[stream]]
name = "acme"
url = "https://streams.example.com"
token = "marker"
"#;

/// The problems of a file that goes on after [`STREAM`]; its first line is line 5.
pub(super) fn after_stream(text: &str) -> String {
    Setting::new(&format!("{STREAM}{text}")).problems()
}
