//! `[stream.auth]`: who we are, in one of five forms.

use super::reader::Reader;
use super::secret::{self, Forms, Surroundings};
use super::values::{Given, text};
use crate::transport::Auth;
use streamkeeper_sink::Secret;

/// The forms, by the key that begins each.
const FORMS: [&str; 5] = ["bearer", "basic", "header", "query", "cookie"];

/// Made of a name and a value.
type Kind = fn(String, Secret) -> Auth;

/// Reads the table, if it is there.
pub(super) fn read(reader: &mut Reader<'_>, surroundings: &Surroundings) -> Auth {
    let mut auth = Auth::None;
    reader.table("auth", |reader| {
        let is_given = |form: &&str| match *form {
            "bearer" => secret::BEARER.keys.iter().any(|key| reader.has(key)),
            form => reader.has(form),
        };
        let given: Vec<_> = FORMS.into_iter().filter(is_given).collect();
        if let [first, .., last] = given.as_slice() {
            let message = format!(
                "stands beside `{first}`: give at most one of `bearer`, `basic`, `header`, `query` and \
                 `cookie`"
            );
            reader.problem(last, message);
        }
        if let Some(token) = secret::take(reader, secret::BEARER, surroundings) {
            auth = Auth::Bearer(token);
        }
        reader.table("basic", |reader| {
            let user = take_text(reader, "user");
            if let Some((user, password)) =
                user.zip(take_secret(reader, secret::PASSWORD, surroundings))
            {
                auth = Auth::Basic { user: Secret::new(user), password };
            }
        });
        let kinds: [(_, Kind); 3] = [
            ("header", |name, value| Auth::Header { name, value }),
            ("query", |name, value| Auth::Query { name, value }),
            ("cookie", |name, value| Auth::Cookie { name, value }),
        ];
        for (key, kind) in kinds {
            reader.table(key, |reader| {
                let name = take_text(reader, "name");
                if let Some((name, value)) =
                    name.zip(take_secret(reader, secret::VALUE, surroundings))
                {
                    auth = kind(name, value);
                }
            });
        }
    });
    auth
}

fn take_text(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let mut found = None;
    reader.require(key, &mut found, |given: &Given| text(given).map(Some));
    found
}

fn take_secret(
    reader: &mut Reader<'_>,
    forms: Forms,
    surroundings: &Surroundings,
) -> Option<Secret> {
    if !forms.keys.iter().any(|key| reader.has(key)) {
        let [plain, ..] = forms.keys;
        reader.problem(plain, forms.missing());
    }
    secret::take(reader, forms, surroundings)
}
