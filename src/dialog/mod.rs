//! What to say: the agent's file, the LLM that answers, and the parsers of what the agent waits for.

/// `Debug` of what holds something that was said: its name. Unit tests, where nobody has said anything, see it whole.
macro_rules! private_debug {
    ($($name:ident),+) => {$(
        #[cfg(not(test))]
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}

pub mod agent;
pub mod conversation;
pub mod form;
pub mod llm;
pub mod redact;
pub mod slot;
pub mod tool;
