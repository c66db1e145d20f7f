//! Texts for measuring redaction: like prompts, with no, few and many matches, and made to be slow.

#![allow(missing_docs, clippy::unwrap_used)]

pub const KB: usize = 1000;
/// Sizes of prompts.
pub const SIZES: [usize; 3] = [2 * KB, 20 * KB, 200 * KB];
/// Sentences of a hundred with a match.
#[allow(dead_code, reason = "one of those who include this has its own")]
pub const MATCHING: [(&str, usize); 3] = [("none", 0), ("few", 5), ("many", 100)];

/// Text by people and programs, without matches.
const PROSE: &str = "The gauge below the weir read 3.27 m at 14:05, which is 12 % above the mean of the last ten \
    years. \"Why?\" asked Anna-Lena; nobody could tell. See section 4.1.2 of the report (2021, pp. 12-15), or run \
    `let level = gauges.iter().map(|g| g.level).sum::<f64>() / 24.0;` and compare: the tokens, the keys of the map, \
    and the path /var/lib/gauges/2024/05.csv. Die Höhe des Wehres beträgt 1,80 m – laut Plan. ";
/// Sentences with one match each.
const MATCHES: [&str; 8] = [
    "Write to anna.lena@example.com about it. ",
    "Her number is +49 30 1234567, as always. ",
    "The card 4111 1111 1111 1111 was declined. ",
    "It came from 203.0.113.77 at night. ",
    "Her date of birth is 12 March 1980, he said. ",
    "We set password=hunter2hunter2 for now. ",
    "The account is DE89 3704 0044 0532 0130 00. ",
    "His SSN is 123-45-6789, they say. ",
];

/// Text of this size, with a match in this many sentences of a hundred.
pub fn text(size: usize, matches: usize) -> String {
    let mut out = String::with_capacity(size + 500);
    let mut sentence = 0;
    while out.len() < size {
        out.push_str(PROSE);
        for _ in 0..4 {
            sentence += 1;
            if sentence % 100 < matches {
                out.push_str(MATCHES.iter().cycle().nth(sentence % 8).unwrap());
            }
        }
    }
    out.truncate(out.floor_char_boundary(size));
    out
}

/// Inputs made to be slow, by the repeated part.
pub const HOSTILE: [(&str, &str); 20] = [
    ("a", "a"),
    ("at", "@"),
    ("digits", "1"),
    ("groups", "4111 "),
    ("quotes", "\\\""),
    ("addresses", "a@b.co"),
    ("tokens", "eyJhbGciOiJIUzI1NiJ9."),
    ("passwords", "password=a1"),
    ("keys", "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAA\n"),
    ("fullwidth", "１"),
    ("invisible", "\u{200b}1"),
    ("births", "dob "),
    ("fillers", "née le "),
    ("labels", "my number: "),
    ("licences", "licence no "),
    ("values", "token:"),
    ("pairs", "01 "),
    ("accounts", "RU12 "),
    ("escapes", "\\u0041"),
    ("escaped", "\\\\\\\\née leNO11 of Телa@b.co誕生日no né le"),
];
