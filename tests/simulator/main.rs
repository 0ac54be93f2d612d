//! The turn-taking machine in simulated calls: scenario in, event trace out, in virtual time.

mod properties;
mod scenario;
mod scenarios;
mod sim;
