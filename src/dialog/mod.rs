//! What to say: the agent's file and the LLM that answers.

pub mod agent;
pub mod llm;
