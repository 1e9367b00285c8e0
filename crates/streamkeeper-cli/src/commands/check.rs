//! `check`: would `run` take this configuration? No network is touched.

use std::process::ExitCode;

use clap::Args;

use streamkeeper::config::{Config, Dialect, StreamConfig};

use super::config_file::ConfigFile;
use super::output::say;
use crate::exit::Outcome;

/// Check a configuration file, without any network.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    file: ConfigFile,
}

impl Check {
    pub(crate) fn run(self) -> Outcome {
        say(&text(&self.file.load()?))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(config: &Config) -> String {
    let mut text = String::new();
    for stream in &config.streams {
        let StreamConfig { name, connections, .. } = stream;
        let url = stream.shown_url();
        let stale_after = stream.stale_after().map_or_else(
            || "as the server announces or is seen".to_owned(),
            |stale_after| format!("after {stale_after:?}"),
        );
        text += &match &stream.dialect {
            Dialect::Inform(table) => format!(
                "stream {name}: {} on {url}, {connections} connections, stale {stale_after}\n",
                table.server_name
            ),
            Dialect::Sse(table) => {
                format!("stream {name}: {} on {url}, stale {stale_after}\n", table.dialect)
            }
            _ => format!("stream {name}: on {url}, stale {stale_after}\n"),
        };
    }
    for sink in &config.sinks {
        text += &format!("sink {}: {}, for {}\n", sink.name, sink.kind, sink.streams.join(", "));
    }
    let old = config.streams.iter().filter_map(StreamConfig::start_date_doubt);
    for doubt in old.chain(streamkeeper::clock_doubt()) {
        text += &format!("a warning: {doubt}\n");
    }
    text + "the configuration is good\n"
}
