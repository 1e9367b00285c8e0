//! `check`: would `run` take this configuration? No network is touched.

use std::process::ExitCode;

use clap::Args;

use super::config_file::ConfigFile;
use crate::exit::Outcome;

/// Check a configuration file, without any network.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    file: ConfigFile,
}

impl Check {
    #[expect(clippy::print_stdout, reason = "the answer of the command")]
    pub(crate) fn run(self) -> Outcome {
        let config = self.file.load()?;
        for stream in &config.streams {
            println!(
                "stream {}: {} on {}, {} connections, stale after {:?}",
                stream.name,
                stream.server_name,
                stream.url,
                stream.connections,
                stream.watchdog.stale_after,
            );
        }
        for sink in &config.sinks {
            println!("sink {}: {}, for {}", sink.name, sink.kind, sink.streams.join(", "));
        }
        println!("the configuration is good");
        Ok(ExitCode::SUCCESS)
    }
}
