//! What the dialog asks of other machines, over real sockets: the LLM's client and HTTP tools.
//!
//! The other side says its bytes as told, down to broken connections. Where time must pass, a clock is set forward.

mod llm_calls;
mod llm_faults;
mod script;
mod tools;
