//! The Inform (V2) service, simulated: a pure model, faults, a server, a truth to check against.
