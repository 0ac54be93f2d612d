//! What keeps calls private: keys, sealed values, sealed files.

pub mod chunks;
pub mod kek;
pub mod seal;
