//! What keeps calls private.

pub mod egress;
