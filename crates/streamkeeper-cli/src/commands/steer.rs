//! `recover`, `pause`, `resume`, `reconnect`: what a running Streamkeeper is told about one stream.
//!
//! The process answers once it has taken the order; `status` shows what becomes of it.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use streamkeeper::{Act, control};

use super::confirm::Confirm;
use super::data_dir::DataDir;
use super::output::Output;
use super::status::unanswered;
use crate::exit::Outcome;

/// One stream of a running Streamkeeper.
#[derive(Debug, Args)]
pub(crate) struct Steer {
    /// The stream, by its name in the configuration
    #[arg(value_name = "NAME")]
    stream: String,

    #[command(flatten)]
    data_dir: DataDir,

    #[command(flatten)]
    output: Output,
}

/// Terminate every connection of a stream, make it anew on the service, and read it again.
#[derive(Debug, Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    steer: Steer,

    /// Recover so that changed filters take effect: asks first
    ///
    /// The service fixes a stream's filters when it is made, and a recovery makes it with those of the
    /// running configuration: events of types that are filtered out now stop coming.
    #[arg(long)]
    apply_filters: bool,

    #[command(flatten)]
    confirm: Confirm,
}

/// What was asked for.
#[derive(Serialize)]
struct Asked {
    stream: String,
    act: Act,
}

impl Steer {
    pub(crate) fn run(self, act: Act) -> Outcome {
        let Self { stream, data_dir, output } = self;
        control::steer(&data_dir.find()?, &stream, act).map_err(|error| unanswered(&error))?;
        output.write(&Asked { stream, act }, text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Recover {
    pub(crate) fn run(self) -> Outcome {
        let Self { steer, apply_filters, confirm } = self;
        if apply_filters {
            confirm.ask(&format!(
                "The stream `{}` is deleted on the service and made anew with `resource_filter` and \
                 `event_types` of the running configuration: events of types that they leave out \
                 stop coming.",
                steer.stream,
            ))?;
        }
        steer.run(Act::Recover)
    }
}

fn text(asked: &Asked) -> String {
    let Asked { stream, act } = asked;
    let what = match act {
        Act::Recover => "is made anew and read again",
        Act::Pause => "is paused: its connections are read to their end",
        Act::Resume => "connects again",
        Act::Reconnect => "reads its connections to their end, and opens them again",
        _ => "was asked",
    };
    format!("stream {stream} {what}; `streamkeeper status {stream}` shows how it goes\n")
}
