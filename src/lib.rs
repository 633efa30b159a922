//! ringfence: the gate between autonomous coding agents and the repositories of a git server.
//!
//! The modules stand in floors; a file imports only from floors below its own (`tests/tidy.rs` keeps it so).
//!
//! | floor | modules |
//! |---|---|
//! | 0 nouns | `push`, `finding`, `order`, `redact`, `budget`, `standing`, `yaml` |
//! | 1 the world, read only | `policy`, `repo`, `identity` |
//! | 2 origin | `host` |
//! | 3 facts | `scan`, `check` |
//! | 4 decision | `verdict`, `gate` |
//! | 5 telling | `report`, `ledger`, `audit`, `cli` |

pub mod budget;
pub mod finding;
mod order;
pub mod push;
pub mod redact;
pub mod standing;
mod yaml;

pub mod identity;
pub mod policy;
pub mod repo;

pub mod host;

pub mod check;
pub mod scan;

pub mod gate;
pub mod verdict;

pub mod audit;
pub mod cli;
pub mod ledger;
pub mod report;
