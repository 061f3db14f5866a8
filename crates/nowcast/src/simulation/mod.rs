//! The simulated world as a client: readers who ask a server for lists over HTTP and send back
//! what they did. The server cannot tell them from people.

pub mod arms;
pub mod catalogue;
pub mod crowd;
pub mod probe;
pub mod tally;
