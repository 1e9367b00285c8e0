//! What can be taken in at once: functions, parameters, fields; and one meaning for each public name.

use std::collections::{BTreeMap, BTreeSet};

use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{FnArg, Item, Signature, Visibility};

use super::rust::{Source, sources};
use super::tidy;

/// The most lines of a function, from its name to its last brace.
const LINES_MAX: usize = 70;

/// The most parameters, `self` aside.
const PARAMETERS_MAX: usize = 5;

/// The most fields of a struct in the core: a policy with more has parts that want a name.
const FIELDS_MAX: usize = 20;

/// Public names with more than one meaning, each with the reason.
const NAMES: &[(&str, &str)] = &[
    ("Cause", "each family has causes of its own"),
    ("IncidentSummary", "each family tells of its own incidents"),
    ("OpenIncident", "each family writes down its own incidents"),
    ("Strategy", "each family has strategies of its own"),
    ("Input", "what one family alone hears is a part of what any policy hears"),
    ("Output", "what one family alone wants is a part of what any policy wants"),
    ("Report", "what one family alone reports is a part of what any policy reports"),
    ("Target", "what one family alone connects to is a part of what any connects to"),
];

#[test]
fn functions_are_taken_in_at_once() {
    let findings: Vec<_> = sources("").iter().flat_map(functions).collect();
    tidy(
        &format!("A function has {LINES_MAX} lines and {PARAMETERS_MAX} parameters at most."),
        &findings,
    );
}

#[test]
fn structs_of_the_core_have_parts_with_names() {
    let findings: Vec<_> = sources("streamkeeper-core/").iter().flat_map(fields).collect();
    tidy(&format!("A struct of the core has {FIELDS_MAX} fields at most."), &findings);
}

#[test]
fn a_public_name_means_one_thing() {
    // The simulator is another program, written from the same pages: its words are its own.
    let mut product = sources("");
    product.retain(|source| source.package != "streamkeeper-simulator");
    let findings = names(&product, NAMES);
    tidy("A public type has a name of its own among all crates (docs/glossary.md).", &findings);
}

/// Functions that are too long, or ask for too much.
fn functions(source: &Source) -> Vec<String> {
    struct Functions<'a>(&'a str, Vec<String>);

    impl Functions<'_> {
        fn look(&mut self, signature: &Signature, end: usize) {
            let Self(path, findings) = self;
            let start = signature.span().start().line;
            let name = &signature.ident;
            let lines = end - start + 1;
            if lines > LINES_MAX {
                findings.push(format!("{path}:{start}: `{name}` has {lines} lines"));
            }
            let asked = |input: &&FnArg| matches!(input, FnArg::Typed(_));
            let parameters = signature.inputs.iter().filter(asked).count();
            if parameters > PARAMETERS_MAX {
                findings.push(format!("{path}:{start}: `{name}` has {parameters} parameters"));
            }
        }
    }

    impl<'ast> Visit<'ast> for Functions<'_> {
        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            self.look(&item.sig, item.block.span().end().line);
            syn::visit::visit_item_fn(self, item);
        }

        fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
            self.look(&item.sig, item.block.span().end().line);
            syn::visit::visit_impl_item_fn(self, item);
        }
    }

    let mut functions = Functions(&source.path, Vec::new());
    functions.visit_file(&source.code);
    functions.1
}

/// Structs with too many fields.
fn fields(source: &Source) -> Vec<String> {
    let too_many = |item: &Item| match item {
        Item::Struct(item) if item.fields.len() > FIELDS_MAX => {
            let (name, count) = (&item.ident, item.fields.len());
            Some(format!("{}: `{name}` has {count} fields", source.path))
        }
        _ => None,
    };
    source.code.items.iter().filter_map(too_many).collect()
}

/// Public types of one name, but for those that are excused.
fn names(sources: &[Source], excused: &[(&str, &str)]) -> Vec<String> {
    let mut all: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        for item in &source.code.items {
            let (name, visibility) = match item {
                Item::Enum(item) => (&item.ident, &item.vis),
                Item::Struct(item) => (&item.ident, &item.vis),
                Item::Trait(item) => (&item.ident, &item.vis),
                Item::Type(item) => (&item.ident, &item.vis),
                _ => continue,
            };
            if matches!(visibility, Visibility::Public(_)) {
                all.entry(name.to_string()).or_default().insert(&source.path);
            }
        }
    }
    all.retain(|_, paths| paths.len() > 1);
    let unneeded = excused.iter().filter(|(name, _)| !all.contains_key(*name));
    let unneeded = unneeded.map(|(name, _)| format!("NAMES: `{name}` has one meaning"));
    let found = all.iter().filter(|(name, _)| !excused.iter().any(|(known, _)| known == name));
    let found = found.map(|(name, paths)| {
        format!("`{name}`: {}", paths.iter().copied().collect::<Vec<_>>().join(", "))
    });
    found.chain(unneeded).collect()
}

mod planted {
    use super::super::tree::File;
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(&File { path: path.to_owned(), text: text.to_owned() })
    }

    #[test]
    fn a_function_that_is_too_long_or_asks_for_too_much_is_found() {
        let lines = |count: usize| format!("fn long() {{{}}}", "\n".repeat(count - 1));
        let at_most = source("crates/a/src/a.rs", &lines(LINES_MAX));
        assert!(functions(&at_most).is_empty());
        let more = source("crates/a/src/a.rs", &lines(LINES_MAX + 1));
        assert_eq!(functions(&more), ["crates/a/src/a.rs:1: `long` has 71 lines"]);
        let asks = "impl A { fn f(&self, a: (u8, u8), b: u8, c: u8, d: u8, e: u8) {} }";
        assert!(functions(&source("crates/a/src/a.rs", asks)).is_empty());
        let asks = asks.replace("e: u8", "e: u8, f: u8");
        assert_eq!(functions(&source("crates/a/src/a.rs", &asks)).len(), 1);
    }

    #[test]
    fn a_struct_with_too_many_fields_is_found() {
        let with = |count: usize| {
            let fields: String = (0..count).map(|field| format!("f{field}: u8,")).collect();
            fields_of(&format!("struct A {{ {fields} }}"))
        };
        fn fields_of(text: &str) -> usize {
            fields(&source("crates/a/src/a.rs", text)).len()
        }
        assert_eq!((with(FIELDS_MAX), with(FIELDS_MAX + 1)), (0, 1));
    }

    #[test]
    fn a_name_with_two_meanings_and_an_excuse_that_nobody_needs_are_found() {
        let two = [
            source("crates/a/src/a.rs", "pub struct Reader; pub struct One;"),
            source("crates/b/src/b.rs", "pub enum Reader {} pub(crate) struct One;"),
        ];
        assert_eq!(names(&two, &[]), ["`Reader`: crates/a/src/a.rs, crates/b/src/b.rs"]);
        assert!(names(&two, &[("Reader", "both read")]).is_empty());
        assert_eq!(names(&two[..1], &[("Reader", "both read")]).len(), 1);
    }
}
