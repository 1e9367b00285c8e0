//! The seeded simulation: streamkeeper-core against the model of the service, in virtual time.
