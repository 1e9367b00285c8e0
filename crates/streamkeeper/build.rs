//! Writes down when this was built: a clock that says an earlier day has not been set yet.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Builds that can be reproduced say what time it is.
    let stated = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|stated| stated.parse().ok());
    println!("cargo::rustc-env=STREAMKEEPER_BUILT_AT={}", stated.unwrap_or_else(now));
}
