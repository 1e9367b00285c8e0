//! The table: its statements, and whether the one on the server is as it has to be.

use serde::Deserialize;
use streamkeeper_sink::SinkError;
use tokio_postgres::{Client, Row};

use super::error;

/// What a row of the table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A version of a record: rows are added, never changed.
    #[default]
    History,
    /// A record in its newest version.
    Newest,
}

impl Mode {
    /// As the configuration says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Newest => "newest",
        }
    }
}

/// The columns that we write, and whether they may be empty; `stored_at` is the server's.
const COLUMNS: [(&str, &str, bool); 13] = [
    ("source", "text", false),
    ("id", "text", false),
    ("record", "text", false),
    ("type", "text", false),
    ("withdrawn", "boolean", false),
    ("time", "timestamp with time zone", true),
    ("subject", "text", true),
    ("ledger", "text", true),
    ("sequence", "bigint", false),
    ("replayed", "boolean", false),
    ("redelivered", "boolean", false),
    ("content_type", "text", false),
    ("data", "json", false),
];

/// The temporary table that a batch is copied into. Its schema is named, so that none of the user's is meant.
const INCOMING: &str = "pg_temp.streamkeeper_incoming";

/// The table of a sink, by its name.
#[derive(Clone, Debug)]
pub(super) struct Table {
    schema: Option<String>,
    /// As it stands in a statement.
    quoted: String,
    mode: Mode,
}

impl Table {
    /// `None` if it is no name that needs no escape.
    pub(super) fn parse(name: &str, mode: Mode) -> Option<Self> {
        let is_plain = |part: &&str| {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            (1..=63).contains(&part.len()) && part.bytes().all(is_word)
        };
        let parts: Vec<&str> = name.split('.').collect();
        let schema = match parts.as_slice() {
            [_] => None,
            [schema, _] => Some((*schema).to_owned()),
            _ => return None,
        };
        let quoted = parts.iter().map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(".");
        parts.iter().all(is_plain).then_some(Self { schema, quoted, mode })
    }

    /// The unique key, beside the source.
    const fn key(&self) -> &'static str {
        match self.mode {
            Mode::History => "id",
            Mode::Newest => "record",
        }
    }

    /// What makes the table.
    pub(super) fn create(&self) -> String {
        let schema = self.schema.as_ref();
        let schema = schema.map(|name| format!("CREATE SCHEMA IF NOT EXISTS \"{name}\"; "));
        format!(
            "{}CREATE TABLE IF NOT EXISTS {} ({}, stored_at timestamp with time zone NOT NULL DEFAULT now(), PRIMARY KEY (source, {})); CREATE INDEX ON {} (source, time);",
            schema.unwrap_or_default(),
            self.quoted,
            columns(),
            self.key(),
            self.quoted,
        )
    }

    /// What makes the temporary table.
    pub(super) fn create_incoming() -> String {
        format!(
            "CREATE TEMPORARY TABLE streamkeeper_incoming (position bigint NOT NULL, {}) ON COMMIT DELETE ROWS",
            columns()
        )
    }

    pub(super) fn copy() -> String {
        format!("COPY {INCOMING} (position, {}) FROM STDIN BINARY", names(""))
    }

    /// What takes over what was copied.
    pub(super) fn insert(&self) -> String {
        let conflict = match self.mode {
            Mode::History => "NOTHING".to_owned(),
            // Of one time, or without one: the sequence tells, if it is of the same ledger; else the last wins.
            Mode::Newest => format!(
                "UPDATE SET ({}, stored_at) = ROW ({}, now()) WHERE old.id <> excluded.id AND (old.time < excluded.time OR ((old.time = excluded.time) IS NOT FALSE AND (old.ledger IS DISTINCT FROM excluded.ledger OR old.sequence < excluded.sequence)))",
                names(""),
                names("excluded."),
            ),
        };
        format!(
            "INSERT INTO {} AS old ({}) SELECT {} FROM {INCOMING} ORDER BY position ON CONFLICT (source, {}) DO {conflict}",
            self.quoted,
            names(""),
            names(""),
            self.key(),
        )
    }

    /// What tells the events of a stream since a time.
    pub(super) fn recall(&self) -> String {
        format!(
            "SELECT id, (extract(epoch FROM time) * 1000000)::bigint, subject FROM {} WHERE source = $1 AND (time >= $2 OR time IS NULL)",
            self.quoted
        )
    }

    /// Whether the table is there; if it is, whether it is as it has to be.
    pub(super) async fn check(&self, client: &Client) -> Result<bool, SinkError> {
        let row = client.query_one(DATABASE, &[&self.quoted]).await;
        let row = row.map_err(|error| error::of_setup(&error))?;
        self.check_database(&row)?;
        let Some(oid) = get::<Option<u32>>(&row, "oid")? else { return Ok(false) };
        let row = client.query_one(TABLE, &[&oid, &self.key()]).await;
        self.check_table(&row.map_err(|error| error::of_setup(&error))?)?;
        let columns = client.query(COLUMNS_OF, &[&oid]).await;
        self.check_columns(&columns.map_err(|error| error::of_setup(&error))?)?;
        Ok(true)
    }

    fn check_database(&self, row: &Row) -> Result<(), SinkError> {
        if get::<String>(row, "encoding")? != "UTF8" {
            return Err(wrong("the database is not in UTF-8: make another one, ENCODING 'UTF8'"));
        }
        if !get::<bool>(row, "temporary")? {
            let (database, user) = (get::<String>(row, "database")?, get::<String>(row, "user")?);
            let run = format!("run: GRANT TEMPORARY ON DATABASE {database} TO {user};");
            return Err(SinkError::refused("not_permitted").with_detail(run));
        }
        Ok(())
    }

    fn check_table(&self, row: &Row) -> Result<(), SinkError> {
        let table = &self.quoted;
        if !get::<bool>(row, "ordinary")? {
            return Err(wrong(format!("{table} is no ordinary table: give another `table`")));
        }
        if !get::<bool>(row, "logged")? {
            let what = "is unlogged, and empty after a crash of the server";
            return Err(wrong(format!("{table} {what}; run: ALTER TABLE {table} SET LOGGED;")));
        }
        if !get::<bool>(row, "keyed")? {
            let (mode, key) = (self.mode.as_str(), self.key());
            let what = format!("has no unique key of source and {key}, which mode {mode} needs");
            let run = format!("CREATE UNIQUE INDEX ON {table} (source, {key});");
            return Err(wrong(format!("{table} {what}; give another `table`, or run: {run}")));
        }
        let (needed, permitted) = match self.mode {
            Mode::History => ("SELECT, INSERT", get::<bool>(row, "insert")?),
            Mode::Newest => ("SELECT, INSERT, UPDATE", get::<bool>(row, "update")?),
        };
        if !permitted {
            let user = get::<String>(row, "user")?;
            let run = format!("run: GRANT {needed} ON {table} TO {user};");
            return Err(SinkError::refused("not_permitted").with_detail(run));
        }
        Ok(())
    }

    fn check_columns(&self, rows: &[Row]) -> Result<(), SinkError> {
        let table = &self.quoted;
        let mut run = Vec::new();
        let mut there = Vec::new();
        for row in rows {
            let (name, of) = (get::<String>(row, "name")?, get::<String>(row, "type")?);
            match COLUMNS.iter().find(|(column, ..)| *column == name) {
                Some((_, wanted, _)) if *wanted != of => run.push(format!(
                    "ALTER TABLE {table} ALTER COLUMN {name} TYPE {wanted} USING {name}::text::{wanted};"
                )),
                // An own column of the user's would be left empty.
                None if name != "stored_at" && get::<bool>(row, "required")? => {
                    let quoted = get::<String>(row, "quoted")?;
                    run.push(format!("ALTER TABLE {table} ALTER COLUMN {quoted} DROP NOT NULL;"));
                }
                _ => {}
            }
            there.push(name);
        }
        for (name, of, may_be_empty) in COLUMNS.iter().chain([&STORED_AT]) {
            if !there.iter().any(|there| there == name) {
                let rest = if *may_be_empty { "" } else { " NOT NULL" };
                run.push(format!("ALTER TABLE {table} ADD COLUMN {name} {of}{rest};"));
            }
        }
        if run.is_empty() {
            return Ok(());
        }
        let run = run.join(" ");
        Err(wrong(format!("{table} has other columns; give another `table`, or run: {run}")))
    }
}

const STORED_AT: (&str, &str, bool) = ("stored_at", "timestamp with time zone DEFAULT now()", true);

const DATABASE: &str =
    "SELECT to_regclass($1::text)::oid AS oid, current_setting('server_encoding') AS encoding,
    quote_ident(current_database()) AS database, quote_ident(current_user) AS \"user\",
    has_database_privilege(current_database(), 'TEMPORARY') AS temporary";

const TABLE: &str = "SELECT c.relkind IN ('r', 'p') AS ordinary, c.relpersistence = 'p' AS logged, quote_ident(current_user) AS \"user\",
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') AS insert,
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'UPDATE') AS update,
    EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnatts = 2
        AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE \"C\") FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)) = ARRAY[$2::text, 'source']) AS keyed
    FROM pg_class c WHERE c.oid = $1";

const COLUMNS_OF: &str = "SELECT attname::text AS name, quote_ident(attname) AS quoted, format_type(atttypid, atttypmod) AS type,
    attnotnull AND NOT atthasdef AND attidentity = '' AS required
    FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped";

fn wrong(what: impl Into<String>) -> SinkError {
    SinkError::refused("wrong_schema").with_detail(what)
}

fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: &str,
) -> Result<T, SinkError> {
    row.try_get(column).map_err(|error| error::of(&error))
}

fn columns() -> String {
    let column = |(name, of, may_be_empty): &(&str, &str, bool)| {
        format!("{name} {of}{}", if *may_be_empty { "" } else { " NOT NULL" })
    };
    COLUMNS.iter().map(column).collect::<Vec<_>>().join(", ")
}

fn names(before: &str) -> String {
    COLUMNS.iter().map(|(name, ..)| format!("{before}{name}")).collect::<Vec<_>>().join(", ")
}
