//! A set of calls: who says what to which agent, and what must have come of it. `tests/calls/calls.toml` is one.
//!
//! Pure but for [`Outcome::read`]. The same calls are held in text by `tests/calls` and by voice by `tieline bench calls`.

mod outcome;
mod set;
mod talk;

pub use outcome::{OrderRow, Outcome};
pub use set::{CallSet, Expected, ExpectedOrder, Line, Pattern, Said, ScriptedCall, SetError};
pub use talk::Talk;
