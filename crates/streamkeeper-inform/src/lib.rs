//! The Inform (V2) streaming API: wire types and calls behind a Transport trait.
