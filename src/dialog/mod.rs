//! What to say: the agent's file, the LLM that answers, and the parsers of what the agent waits for.

pub mod agent;
pub mod conversation;
pub mod form;
pub mod llm;
pub mod redact;
pub mod slot;
pub mod tool;
