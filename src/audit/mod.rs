//! The audit: whole histories, many repositories, one answer.
//!
//! Everything that it tells is a [`record::Record`]: JSON lines are these and nothing else, every other form is made from them, and
//! so is what several runs told together.

pub mod record;
