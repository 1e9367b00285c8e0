//! What handles, the control socket and the endpoint exchange: plain data, whose names are promises.

pub(crate) mod act;
pub(crate) mod condition;
pub(crate) mod replay;
pub(crate) mod status;
