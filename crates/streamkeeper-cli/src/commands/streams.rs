//! `streams list|create|delete`: the streams of an organization on the service.
//!
//! Streamkeeper makes and removes its own; this is for the others, and for looking. What a running
//! process keeps is not deleted under its feet, unless that is said.

mod text;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::{control, ledgers};
use streamkeeper_inform::wire::Stream;
use streamkeeper_inform::{Client, NewStream};

use super::config_file::NamedConfig;
use super::confirm::Confirm;
use super::organization::{self, block_on, choose, failed, is_same, transport};
use super::output::Output;
use crate::escape::escaped;
use crate::exit::{Failure, GENERAL, Outcome};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Streams {
    /// List the streams of the organization.
    List(List),
    /// Create a stream.
    Create(Create),
    /// Delete a stream. This cannot be undone.
    Delete(Delete),
}

/// The organization.
#[derive(Debug, Args)]
struct Organization {
    #[command(flatten)]
    file: NamedConfig,

    /// The configured stream whose url and token are used [default: all have the same]
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,

    #[command(flatten)]
    output: Output,
}

/// List the streams of the organization.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    organization: Organization,
}

/// Create a stream.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name on the service
    #[arg(long)]
    name: String,

    /// The UTC day it begins with [default: the service's last 30 days]
    #[arg(long, value_name = "YYYY-MM-DD")]
    start_date: Option<jiff::civil::Date>,

    /// A resource type, such as `summary`; may be given several times [default: all]
    #[arg(long, value_name = "TYPE")]
    resource: Vec<String>,

    /// An event type: `data`, `rule`, `connection`; may be given several times [default: data]
    #[arg(long, value_name = "TYPE")]
    event_type: Vec<String>,

    #[command(flatten)]
    organization: Organization,
}

/// Delete a stream. This cannot be undone.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Its name on the service, or its id
    #[arg(value_name = "NAME|ID")]
    which: String,

    /// Also one that a running Streamkeeper keeps
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    organization: Organization,
}

/// A stream as it is shown.
#[derive(Serialize)]
struct Shown {
    name: Option<String>,
    id: String,
    start_date: Option<String>,
    members: Option<u32>,
    resource_filter: Vec<String>,
    event_type_filter: Vec<String>,
    /// The configured stream that it is of.
    ours: Option<String>,
}

impl Streams {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::List(List { organization }) => list(&organization),
            Self::Create(create) => create.run(),
            Self::Delete(delete) => delete.run(),
        }
    }
}

fn list(organization: &Organization) -> Outcome {
    let config = organization.file.load()?;
    let stream = choose(&config, organization.stream.as_deref())?;
    let client = Client::new(transport(stream)?);
    let listed = block_on(client.list())?.map_err(|error| failed(&error))?;
    let shown: Vec<_> = listed.into_iter().map(|one| Shown::new(one, &config, stream)).collect();
    organization.output.write(shown.as_slice(), text::table)?;
    Ok(ExitCode::SUCCESS)
}

impl Create {
    fn run(self) -> Outcome {
        let Self { name, start_date, resource, event_type, organization } = self;
        let config = organization.file.load()?;
        let stream = choose(&config, organization.stream.as_deref())?;
        let client = Client::new(transport(stream)?);
        let new = NewStream {
            name,
            start_date,
            resource_filter: resource,
            event_type_filter: event_type,
        };
        let made = block_on(client.create(&new))?.map_err(|error| {
            let may = "; it may exist all the same: look with `streams list`";
            let may = if error.may_have_acted() { may } else { "" };
            let advice = organization::advice(error.kind);
            Failure::new(organization::code(error.kind), format!("{error}{advice}{may}"))
        })?;
        let shown = Shown::new(made, &config, stream);
        organization.output.write(&shown, |shown| text::table(std::slice::from_ref(shown)))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Delete {
    fn run(self) -> Outcome {
        let Self { which, force, confirm, organization } = self;
        let config = organization.file.load()?;
        let stream = choose(&config, organization.stream.as_deref())?;
        let client = Client::new(transport(stream)?);
        let listed = block_on(client.list())?.map_err(|error| failed(&error))?;
        // An id is exact, a name unique within the organization.
        let by_id = listed.iter().find(|one| one.id == which);
        let found =
            by_id.or_else(|| listed.iter().find(|one| one.name.as_deref() == Some(&*which)));
        let Some(found) = found else {
            let message = format!("the organization has no stream `{which}`: see `streams list`");
            return Err(Failure::new(GENERAL, message));
        };
        let shown = Shown::new(found.clone(), &config, stream);
        if let (Some(ours), false) = (&shown.ours, force) {
            refuse_if_kept(&config, ours)?;
        }
        let name = escaped(shown.name.as_deref().unwrap_or("without a name"));
        let id = escaped(&shown.id);
        confirm.ask(&format!(
            "The stream {name} ({id}) is deleted on the service, with what it has not sent yet. This \
             cannot be undone.",
        ))?;
        block_on(client.delete(&shown.id))?.map_err(|error| failed(&error))?;
        organization.output.write(&shown, |shown| format!("deleted {}\n", escaped(&shown.id)))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Whoever runs with this configuration would take it for lost, and recover.
fn refuse_if_kept(config: &Config, ours: &str) -> Result<(), Failure> {
    let Ok(process) = control::status(&config.service.data_dir) else { return Ok(()) };
    if process.streams.iter().any(|stream| stream.name == ours) {
        let message = format!(
            "process {} keeps it as `{ours}`, and would recover it: remove it from the \
             configuration first, or give --force",
            process.pid,
        );
        return Err(Failure::new(GENERAL, message));
    }
    Ok(())
}

impl Shown {
    fn new(stream: Stream, config: &Config, organization: &StreamConfig) -> Self {
        let Stream { id, name, start_date, resource_filter, event_type_filter, members, .. } =
            stream;
        let mut ours = config.streams.iter().filter(|one| is_same(one, organization));
        // What cannot be read tells nothing: then the name alone counts.
        let made = |name: &str| ledgers::made(&config.service.data_dir, name).unwrap_or_default();
        let ours = ours.find(|one| {
            let own = one.as_inform().map(|table| &*table.server_name);
            (own.is_some() && name.as_deref() == own) || made(&one.name).contains(&id)
        });
        Self {
            ours: ours.map(|one| one.name.clone()),
            start_date: start_date.map(|day| day.to_string()),
            name,
            id,
            members,
            resource_filter,
            event_type_filter,
        }
    }
}
