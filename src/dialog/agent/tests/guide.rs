//! The guide: see docs/guide/agents.md.
