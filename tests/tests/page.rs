//! The page: what a person does on it, in a real Chromium, and what nobody may do to it.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what is measured is told")]

#[path = "page/dead_letters.rs"]
mod dead_letters;
#[path = "page/described.rs"]
mod described;
#[path = "page/doors.rs"]
mod doors;
#[path = "page/live.rs"]
mod live;
#[path = "page/rig.rs"]
mod rig;
#[path = "page/screenshots.rs"]
mod screenshots;
#[path = "page/visit.rs"]
mod visit;
#[path = "page/window.rs"]
mod window;
