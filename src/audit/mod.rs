//! The batch audit: the same engine over whole histories.

pub mod contents;
