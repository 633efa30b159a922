//! Real pushes against real hooks: one test program, so that it links once.
//!
//! `world` builds throw-away servers; `cases` reads the pushes that stand as data in `testdata/pushes/`.

mod tidy;
