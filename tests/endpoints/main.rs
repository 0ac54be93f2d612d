//! What the dialog asks of other machines, over real sockets: the LLM's client and HTTP tools, and where they may connect; and whole conversations with an LLM that misbehaves.
//!
//! The other side says its bytes as told, down to broken connections. Where time must pass, a clock is set forward.

mod dialog;
mod dialog_faults;
mod dialog_random;
mod egress;
mod llm_calls;
mod llm_faults;
mod redaction;
mod script;
mod tools;
