//! What keeps calls private: the guard of what leaves, keys, sealed values, sealed files.

pub mod chain;
pub mod chunks;
pub mod egress;
pub mod kek;
pub mod seal;
pub mod shredlist;
