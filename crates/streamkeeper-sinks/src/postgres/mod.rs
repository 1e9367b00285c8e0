//! The `postgres` sink: a table with a row for each version, or for each record.
//!
//! Promise of `Ok`: the rows are committed, and on the server's disk. A batch is one transaction: copied into a
//! temporary table, then inserted from there. The unique key, the stream and the envelope's id (of `newest`,
//! the record), knows no ledger and no host: what is given again, by whomever and after whatever, changes
//! nothing. So an answer to COMMIT that was lost needs no thought: the batch is given again.
//!
//! In mode `newest` a version is applied only if it is not older than the row: by the time at which the service
//! processed it; where that does not tell, by the sequence numbers of one ledger, or else by arrival. A
//! withdrawn record keeps its row, marked: without it an older version would bring the record back.
//!
//! The record is of type `json`, which keeps it byte for byte. `jsonb` does not, and refuses `\u0000`.

mod config;
mod error;
mod row;
mod session;
mod sink;
mod table;
#[cfg(test)]
mod tests;

pub use config::{PostgresConfig, PostgresFactory};
pub use sink::PostgresSink;
pub use table::Mode;
