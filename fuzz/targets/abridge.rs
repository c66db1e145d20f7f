//! JSON that is made short: it stays JSON within its limits, the same however it comes, and what
//! fits is kept as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use weir_filter::json::truncate::{Abridger, Limits, abridge};
use weir_fuzz::{controls, pieces};

fuzz_target!(|data: &[u8]| {
    let ([seed], text) = controls(data);
    let limits = match seed % 3 {
        0 => Limits { string: 16, total: 64 },
        1 => Limits { string: 512, total: 1024 },
        _ => Limits { string: 1 << 20, total: 1 << 20 },
    };
    let whole = abridge(text, limits);
    let mut abridger = Abridger::new(limits);
    for piece in pieces(text, seed) {
        abridger.feed(piece);
        assert!(abridger.held() <= limits.total + limits.string + (8 << 10), "{}", abridger.held());
    }
    // Where it is no text a string may be cut at another byte.
    let parted = abridger.finish();
    assert!(parted == whole || std::str::from_utf8(text).is_err());
    if std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok()) {
        let short = whole.expect("JSON can be made short");
        let text = String::from_utf8(short.json).expect("text");
        serde_json::from_str::<IgnoredAny>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    }
});
