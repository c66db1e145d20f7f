//! What the command line does besides running: each command says what it found in words, on standard output.
//! None of it shows a secret, and only `dead-letters show --content` shows content.

mod check;
mod dead_letters;
mod nats;
mod output;
mod ready;
mod remove;
mod reseal;
mod status;
mod test_destination;

pub use check::check;
pub use dead_letters::dead_letters;
pub use ready::ready;
pub use remove::remove;
pub use reseal::reseal;
pub use status::status;
pub use test_destination::test_destination;
