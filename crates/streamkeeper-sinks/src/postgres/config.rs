//! The table of a `postgres` sink: where the server is, which table, what a row is.

use std::path::PathBuf;

use streamkeeper_sink::{Secret, SecretKeys, Sink, SinkConfigError, SinkFactory, SinkTable};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::PostgresSink;
use super::table::{Mode, Table};

const URL: SecretKeys = SecretKeys::new(["url", "url_file", "url_env"]);

/// The settings of a `postgres` sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database?sslmode=verify-full`. Required. `sslmode` is `verify-full` (the
    /// default; of a loopback address or a socket `disable`) or `disable`.
    pub url: Secret,
    /// The table, `name` or `schema.name`: ASCII letters, digits and underscores. Made if it is not there.
    /// Default: `events`.
    pub table: String,
    /// What a row is. Default: `history`.
    pub mode: Mode,
    /// A file of certificate authorities in PEM, in place of the system's.
    pub ca_file: Option<PathBuf>,
}

impl PostgresConfig {
    fn read(mut table: SinkTable) -> Result<Self, SinkConfigError> {
        let url = table.take_secret(URL)?;
        let name = table.take("table", "the name of a table")?;
        let mode = table.take("mode", "\"history\" or \"newest\"")?.unwrap_or_default();
        let ca_file = table.take_file("ca_file")?;
        table.finish()?;
        let missing = "is missing: give one of `url`, `url_file` and `url_env`";
        let url = url.ok_or_else(|| SinkConfigError::new("url", missing))?;
        let config = Self { url, table: name.unwrap_or_else(|| "events".into()), mode, ca_file };
        config.server()?;
        config.table()?;
        Ok(config)
    }

    pub(super) fn table(&self) -> Result<Table, SinkConfigError> {
        Table::parse(&self.table, self.mode).ok_or_else(|| {
            let expected = "must be `name` or `schema.name`, of ASCII letters, digits and underscores, at most 63 each";
            SinkConfigError::new("table", expected)
        })
    }

    /// How to connect, and whether over TLS.
    pub(super) fn server(&self) -> Result<(Config, bool), SinkConfigError> {
        let wrong = |what: &str| SinkConfigError::new("url", what);
        let (url, sslmode) = without_sslmode(self.url.expose());
        let expected = "must be postgres://user:password@host:port/database; escape special characters of the password (%40 for @)";
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong(expected));
        }
        if url.contains("sslrootcert=") {
            return Err(wrong("has `sslrootcert`: give the file as `ca_file`"));
        }
        // The library's own words quote the URL.
        let mut server: Config = url.parse().map_err(|_| wrong(expected))?;
        if server.get_hosts().is_empty() {
            return Err(wrong("names no host"));
        }
        let secured = match sslmode {
            None => !is_local(&server),
            Some("verify-full") => true,
            Some("disable") => false,
            Some(_) => {
                let what = "has an `sslmode` that is not taken: `verify-full` (with `ca_file` for an authority of one's own) or `disable`; the others do not know whom they talk to";
                return Err(wrong(what));
            }
        };
        server.ssl_mode(if secured { SslMode::Require } else { SslMode::Disable });
        if server.get_application_name().is_none() {
            server.application_name("streamkeeper");
        }
        Ok((server, secured))
    }
}

/// The library knows no `verify-full`, so it is not shown to it.
fn without_sslmode(url: &str) -> (String, Option<&str>) {
    let Some((place, query)) = url.rsplit_once('?') else { return (url.to_owned(), None) };
    let mut sslmode = None;
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| match pair.strip_prefix("sslmode=") {
            None => true,
            Some(mode) => {
                sslmode = Some(mode);
                false
            }
        })
        .collect();
    let rest = rest.join("&");
    (if rest.is_empty() { place.to_owned() } else { format!("{place}?{rest}") }, sslmode)
}

fn is_local(server: &Config) -> bool {
    let is_loopback = |name: &str| {
        name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    };
    let here = |host: &Host| match host {
        Host::Tcp(name) => is_loopback(name),
        Host::Unix(_) => true,
    };
    server.get_hosts().iter().all(here)
        && server.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

/// Makes `postgres` sinks.
#[derive(Clone, Copy, Debug)]
pub struct PostgresFactory;

impl SinkFactory for PostgresFactory {
    fn type_name(&self) -> &'static str {
        "postgres"
    }

    fn check(&self, _name: &str, table: SinkTable) -> Result<(), SinkConfigError> {
        PostgresConfig::read(table).map(drop)
    }

    fn build(&self, _name: &str, table: SinkTable) -> Result<Box<dyn Sink>, SinkConfigError> {
        Ok(Box::new(PostgresSink::new(&PostgresConfig::read(table)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> PostgresConfig {
        let url = Secret::new(url);
        PostgresConfig { url, table: "events".into(), mode: Mode::History, ca_file: None }
    }

    #[test]
    fn tls_is_the_default_but_on_this_machine() {
        for (url, expected) in [
            ("postgres://u:p@db.example.org/d", true),
            ("postgres://u:p@db.example.org/d?sslmode=disable", false),
            ("postgres://u:p@db.example.org/d?connect_timeout=3&sslmode=verify-full", true),
            ("postgresql://u@localhost/d", false),
            ("postgresql://u@127.0.0.1/d?sslmode=verify-full", true),
            ("postgresql://u@[::1]:5433/d", false),
            ("postgresql://u@%2Frun%2Fpostgresql/d", false),
            ("postgresql://u@localhost,db.example.org/d", true),
        ] {
            assert_eq!(config(url).server().unwrap().1, expected, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_and_not_quoted() {
        for url in [
            "host=db password=marker",
            "postgres://u:marker@db/d?sslmode=require",
            "postgres://u:marker@db/d?sslmode=prefer",
            "postgres://u:marker@db/d?sslmode=verify-full&sslrootcert=marker",
            "postgres://u:marker@db/d?unheard=marker",
            "postgres:///d",
        ] {
            let error = config(url).server().unwrap_err();
            assert_eq!(error.key, "url");
            assert!(!error.message.contains("marker"), "{error}");
        }
    }

    #[test]
    fn a_table_has_a_name_that_needs_no_escape() {
        for (name, fits) in [
            ("events", true),
            ("telemetry.events_2", true),
            ("a.b.c", false),
            ("", false),
            ("e\"; DROP TABLE x", false),
            (".events", false),
        ] {
            let config =
                PostgresConfig { table: name.into(), ..config("postgres://u@localhost/d") };
            assert_eq!(config.table().is_ok(), fits, "{name}");
        }
    }
}
