//! The table of a `nats` sink.

use std::path::PathBuf;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use streamkeeper_sink::{Secret, SecretKeys, Sink, SinkConfigError, SinkFactory, SinkTable};

use super::{NatsSink, Template};
use crate::Format;

const URL: SecretKeys = SecretKeys::new(["url", "url_file", "url_env"]);
const PASSWORD: SecretKeys = SecretKeys::new(["password", "password_file", "password_env"]);
const TOKEN: SecretKeys = SecretKeys::new(["token", "token_file", "token_env"]);

/// The settings of a `nats` sink.
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// The servers of one cluster, at least one, without what they are logged in with.
    pub servers: Vec<ServerAddr>,
    /// How to log in.
    pub login: Login,
    /// The authorities to believe instead of the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The JetStream stream.
    pub stream: String,
    /// The subject of an event. Default: `events.{stream}.{type}`.
    pub subject: Template,
    /// What a message holds. Default: `cloudevents`.
    pub format: Format,
    /// How many servers are to keep the JetStream stream if it is made by us. Default: 1.
    pub replicas: u8,
}

/// How to log in.
#[derive(Clone, Debug)]
pub enum Login {
    /// Not at all, or by nothing but a certificate.
    None,
    /// By name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// By a token.
    Token(Secret),
    /// By a file with a JWT and the seed of an nkey, as `nsc` makes it. It is read for each connection.
    Credentials(PathBuf),
}

impl NatsConfig {
    fn read(mut table: SinkTable) -> Result<Self, SinkConfigError> {
        let (servers, of_url) = read_servers(table.take_secrets(URL)?)?;
        let user: Option<String> = table.take("user", "a name")?;
        let password = table.take_secret(PASSWORD)?;
        let token = table.take_secret(TOKEN)?;
        let credentials = table.take_file("credentials_file")?;
        let ca_file = table.take_file("ca_file")?;
        let stream: String = table.require("stream", STREAM)?;
        let subject: Option<String> = table.take("subject", "a subject")?;
        let format = table.take("format", Format::EXPECTED)?.unwrap_or_default();
        let replicas: u8 = table.take("replicas", REPLICAS)?.unwrap_or(1);
        table.finish()?;

        if !is_name(&stream) {
            return Err(SinkConfigError::new("stream", format!("must be {STREAM}")));
        }
        if !matches!(replicas, 1..=5) {
            return Err(SinkConfigError::new("replicas", format!("must be {REPLICAS}")));
        }
        let subject = Template::parse(subject.as_deref().unwrap_or("events.{stream}.{type}"))
            .map_err(|message| SinkConfigError::new("subject", message))?;
        let login = one_login(of_url, user, password, token, credentials)?;
        Ok(Self { servers, login, ca_file, stream, subject, format, replicas })
    }
}

const STREAM: &str =
    "the name of a JetStream stream: letters, digits, `-` and `_`, at most 255 of them";
const REPLICAS: &str = "a number from 1 to 5";

/// What the server takes, and a shell, too.
fn is_name(name: &str) -> bool {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    (1..=255).contains(&name.len()) && name.chars().all(is_plain)
}

/// The servers without their userinfo, and what that says.
fn read_servers(urls: Vec<Secret>) -> Result<(Vec<ServerAddr>, Login), SinkConfigError> {
    const EXPECTED: &str = "must be nats://host:port or tls://host:port, or a list of such";
    let wrong = || SinkConfigError::new("url", EXPECTED);
    if urls.is_empty() {
        let missing = "is missing: give one of `url`, `url_file` and `url_env`";
        return Err(SinkConfigError::new("url", missing));
    }
    let (mut servers, mut login) = (Vec::new(), Login::None);
    for url in urls.iter().flat_map(|urls| urls.expose().split(',')) {
        let server: ServerAddr = url.trim().parse().map_err(|_| wrong())?;
        let mut url = server.into_inner();
        let bare = matches!(url.path(), "" | "/") && url.query().is_none();
        if !bare || url.host_str().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        if let Some(given) = login_of(url.username(), url.password())? {
            login = given;
        }
        // Of these two, the library logs a URL as it is.
        url.set_username("").map_err(|()| wrong())?;
        url.set_password(None).map_err(|()| wrong())?;
        match url.scheme() {
            "nats" | "tls" => servers.push(ServerAddr::from_url(url).map_err(|_| wrong())?),
            _ => return Err(wrong()),
        }
    }
    Ok((servers, login))
}

fn login_of(user: &str, password: Option<&str>) -> Result<Option<Login>, SinkConfigError> {
    let text = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map(String::from).map_err(|_| SinkConfigError::new("url", "must be UTF-8 text"))
    };
    Ok(match password {
        _ if user.is_empty() => None,
        None => Some(Login::Token(Secret::new(text(user)?))),
        Some(password) => {
            Some(Login::Password { user: text(user)?, password: Secret::new(text(password)?) })
        }
    })
}

fn one_login(
    of_url: Login,
    user: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    credentials: Option<PathBuf>,
) -> Result<Login, SinkConfigError> {
    let mut given = Vec::new();
    if !matches!(of_url, Login::None) {
        given.push(("url", of_url));
    }
    match (user, password) {
        (None, None) => {}
        (Some(user), Some(password)) => given.push(("user", Login::Password { user, password })),
        (Some(_), None) => return Err(SinkConfigError::new("user", "needs a `password`")),
        (None, Some(_)) => return Err(SinkConfigError::new("password", "needs a `user`")),
    }
    given.extend(token.map(|token| ("token", Login::Token(token))));
    given.extend(credentials.map(|file| ("credentials_file", Login::Credentials(file))));
    if let [(first, _), (second, _), ..] = given.as_slice() {
        let message = format!("stands beside the login of `{first}`: give one of them");
        return Err(SinkConfigError::new(*second, message));
    }
    Ok(given.pop().map_or(Login::None, |(_, login)| login))
}

/// Makes `nats` sinks.
#[derive(Clone, Copy, Debug)]
pub struct NatsFactory;

impl SinkFactory for NatsFactory {
    fn type_name(&self) -> &'static str {
        "nats"
    }

    fn check(&self, _name: &str, table: SinkTable) -> Result<(), SinkConfigError> {
        NatsConfig::read(table).map(drop)
    }

    fn build(&self, name: &str, table: SinkTable) -> Result<Box<dyn Sink>, SinkConfigError> {
        Ok(Box::new(NatsSink::new(name, NatsConfig::read(table)?)))
    }
}
