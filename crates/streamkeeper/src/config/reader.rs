//! Takes the known keys out of a table one by one; what is left over is unknown.
//!
//! Every problem is noted with its place and reading goes on with the default, so that
//! one run reports all there is. The list of known keys is the list of what was asked
//! for: it cannot fall behind the code.

use serde_json::{Map, Value};
use streamkeeper_sink::unknown_key;

use super::document::Places;
use super::error::Problem;
use super::values::Given;

pub(super) struct Reader<'a> {
    table: Map<String, Value>,
    /// Before each key in its path: empty, or `watchdog.`.
    prefix: String,
    places: &'a Places,
    problems: &'a mut Vec<Problem>,
    known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        table: Map<String, Value>,
        places: &'a Places,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        Self { table, prefix: String::new(), places, problems, known: Vec::new() }
    }

    /// Puts the value of `key` into `field`, if it is there and right.
    pub(super) fn set<T>(
        &mut self,
        key: &'static str,
        field: &mut T,
        parse: impl FnOnce(&Given) -> Result<T, String>,
    ) {
        if let Some(value) = self.take(key, parse) {
            *field = value;
        }
    }

    /// As [`set`](Self::set), and a problem if the key is not there.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        field: &mut T,
        parse: impl FnOnce(&Given) -> Result<T, String>,
    ) {
        if !self.has(key) {
            self.problem(key, "is missing");
        }
        self.set(key, field, parse);
    }

    /// The value of `key`, if it is there and right.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Given) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(key);
        #[cfg(test)]
        ASKED.with_borrow_mut(|asked| asked.insert(format!("{}{key}", self.prefix)));
        let value = self.table.remove(key)?;
        let is_variable = self.places.is_variable(&format!("{}{key}", self.prefix));
        match parse(&Given { value, is_variable }) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(key, message);
                None
            }
        }
    }

    /// Passes over what was read before.
    pub(super) fn pass(&mut self, key: &'static str) {
        self.known.push(key);
        self.table.remove(key);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reads the table `key` inside of this one.
    pub(super) fn table(&mut self, key: &'static str, read: impl FnOnce(&mut Reader<'_>)) {
        let as_table = |given: &Given| match &given.value {
            Value::Object(table) => Ok(table.clone()),
            _ => Err("must be a table".to_owned()),
        };
        let Some(table) = self.take(key, as_table) else { return };
        let mut inner = Reader {
            table,
            prefix: format!("{}{key}.", self.prefix),
            places: self.places,
            problems: &mut *self.problems,
            known: Vec::new(),
        };
        read(&mut inner);
        inner.finish();
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(mut self) {
        for key in std::mem::take(&mut self.table).keys() {
            let message = unknown_key(key, &self.known);
            self.problem(key, message);
        }
    }

    /// Gives the keys that nobody asked for to whom they belong.
    pub(super) fn into_rest(self) -> Map<String, Value> {
        self.table
    }

    /// Notes a problem with `key`.
    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(self.places.problem(&format!("{}{key}", self.prefix), message));
    }
}

#[cfg(test)]
thread_local! {
    static ASKED: std::cell::RefCell<std::collections::BTreeSet<String>> = const {
        std::cell::RefCell::new(std::collections::BTreeSet::new())
    };
}

/// The key paths that readers on this thread ask for while this runs.
#[cfg(test)]
pub(super) fn asked_for(read: impl FnOnce()) -> std::collections::BTreeSet<String> {
    ASKED.take();
    read();
    ASKED.take()
}
