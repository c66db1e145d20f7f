//! The built-in detectors, one file a kind of value, and the words that stand beside values.

pub mod birth;
pub mod composition;
pub mod document;
pub mod email;
mod form;
pub mod hardware;
pub mod iban;

pub mod key;
pub mod label;
mod lexicon;
pub mod login;
pub mod names;
pub mod number;
pub mod pem;
pub mod phone;
pub mod secret;
mod vendors;
