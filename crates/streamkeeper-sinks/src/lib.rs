//! Sinks for Streamkeeper: file and standard output.
