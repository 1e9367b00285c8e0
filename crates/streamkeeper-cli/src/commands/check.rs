//! `check`: would `run` take this configuration? No network is touched.

use std::process::ExitCode;

use clap::Args;

use streamkeeper::config::{Config, StreamConfig};

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
        text += &format!(
            "stream {}: {} on {}, {} connections, stale after {:?}\n",
            stream.name,
            stream.server_name,
            stream.url,
            stream.connections,
            stream.watchdog.stale_after,
        );
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
