//! Real pushes against real hooks: one test program, so that it links once.
//!
//! `world` builds throw-away servers; `cases` reads the pushes that stand as data in `testdata/pushes/`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod audit;
mod audit_faults;
mod audit_odd;
mod audit_page;
mod binary;
mod browser;
mod cases;
mod coverage;
mod demo;
mod faults;
mod keys;
mod load;
mod packs;
mod prepush;
mod protocol;
mod pushes;
mod record;
mod reference;
mod samples;
mod signing;
mod tidy;
mod transports;
mod world;
