//! Email addresses (RFC 5321 for lengths, RFC 5322 for the dot-atom, RFC 6531 for letters beyond ASCII),
//! without quoted local parts and address literals.

use crate::redact::detectors::lexicon::Lexicon;
use crate::redact::text::view::{ALNUM, ALPHA, DIGIT, LOCAL, View, is};

/// Longest local part, in bytes (RFC 5321, section 4.5.3.1.1).
pub(crate) const LOCAL_MAX: usize = 64;
/// Longest domain, in bytes (section 4.5.3.1.2).
const DOMAIN_MAX: usize = 255;
/// Longest label of a domain (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;
/// Most labels of a domain in wide letters.
const LABELS_MAX: usize = 4;
/// File name extensions that look like a top-level domain: `icon@2x.png`.
const FILE_ENDINGS: [&[u8]; 10] =
    [b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"avif", b"css", b"js", b"tiff"];

/// Returns the start of the address whose `@` is at `at`, not before `floor`.
pub(crate) fn start(view: &View<'_>, at: usize, floor: usize) -> Option<usize> {
    let mut start = view.run_back(at, LOCAL, floor, LOCAL_MAX);
    if at - start > LOCAL_MAX {
        return None;
    }
    if start == at {
        start = wide_start(view, at, floor);
    }
    while start < at && view.is(start, LOCAL) && !view.is(start, ALNUM) && view.at(start) != Some(b'_') {
        start += 1;
    }
    (start < at && view.before(at) != Some(b'.')).then_some(start)
}

/// Most bytes of a local part in a script without spaces: where it begins cannot be told.
const WIDE_MAX: usize = 24;

/// Returns the length of a letter of three bytes at an offset: of scripts from India to the Far East, without
/// their punctuation.
fn wide(view: &View<'_>, at: usize) -> Option<usize> {
    let (first, second) = (view.at(at)?, view.at(at + 1)?);
    match (first, second) {
        (0xe3, 0x80) => view.at(at + 2).filter(|third| (0x85..=0x87).contains(third)).map(|_| 3),
        (0xe0 | 0xe1 | 0xe3..=0xed, 0x80..=0xbf) => Some(3),
        _ => None,
    }
}

/// Returns the start of the wide letters before an offset.
pub(crate) fn wide_start(view: &View<'_>, end: usize, floor: usize) -> usize {
    let mut start = end;
    while let Some(before) = start.checked_sub(3).filter(|before| *before >= floor)
        && wide(view, before).is_some()
    {
        // From India to Georgia words have spaces between them.
        let max = if view.at(before).is_some_and(|first| first < 0xe2) { LOCAL_MAX } else { WIDE_MAX };
        if end - before > max {
            break;
        }
        start = before;
    }
    start
}

/// Top-level domains in scripts of three bytes (IANA's root zone), and others that follow a domain in them.
#[rustfmt::skip]
static WIDE_DOMAINS: Lexicon<95> = Lexicon::new([
    "中国", "中國", "公司", "网络", "網絡", "广告", "在线", "网址", "网站", "商城", "集团", "我爱你", "台湾", "台灣", "香港",
    "新加坡", "澳門", "澳门", "商标", "商店", "餐厅", "招聘", "信息", "游戏", "世界", "健康", "娱乐", "佛山", "广东", "慈善",
    "政府", "政务", "机构", "公益", "手机", "时尚", "网店", "企业", "八卦", "微博", "購物", "珠宝", "谷歌", "移动", "通販",
    "書籍", "家電", "食品", "みんな", "コム", "グーグル", "ストア", "セール", "クラウド", "ファッション", "ポイント",
    "닷컴", "닷넷", "한국", "삼성", "भारत", "भारतम्", "भारोत", "नेट", "कॉम", "संगठन", "ভারত", "বাংলা", "ভাৰত", "ਭਾਰਤ", "ભારત",
    "ଭାରତ", "இந்தியா", "இலங்கை", "சிங்கப்பூர்", "భారత్", "ಭಾರತ", "ഭാരതം", "ලංකා", "ไทย", "คอม", "ລາວ", "გე",
    "com", "net", "org", "cn", "jp", "kr", "tw", "hk", "in", "th", "co", "edu",
]);

/// Returns the end of a domain that begins with wide letters at `at`: `例子.广告`, `例子.com.cn`.
fn wide_domain(view: &View<'_>, at: usize) -> Option<usize> {
    let (mut label, mut good) = (at, None);
    for place in 0..LABELS_MAX {
        let mut end = label;
        while end - label <= LABEL_MAX
            && let Some(length) = wide(view, end)
        {
            end += length;
        }
        if end == label {
            end = view.run(label, ALNUM, LABEL_MAX + 1);
        }
        if end == label || end - label > LABEL_MAX {
            break;
        }
        if place > 0 && !view.is(end, ALNUM) && WIDE_DOMAINS.has(view.slice(label..end)) {
            good = Some(end);
        }
        if view.at(end) != Some(b'.') {
            break;
        }
        label = end + 1;
    }
    good
}

/// Returns the end of the address whose `@` is at `at`.
pub(crate) fn end(view: &View<'_>, at: usize) -> Option<usize> {
    let domain = at + 1;
    if wide(view, domain).is_some() {
        return wide_domain(view, domain);
    }
    let (mut label, mut labels, mut good) = (domain, 0, None);
    loop {
        let end = view.run_of_letters(label, ALNUM, LABEL_MAX + 1);
        // A hyphen may stand within a label, but not at its ends.
        let mut last = end;
        while view.at(last) == Some(b'-') && last > label && last - label <= LABEL_MAX {
            let mut next = last;
            while next - label <= LABEL_MAX && view.at(next) == Some(b'-') {
                next += 1;
            }
            let more = view.run_of_letters(next, ALNUM, LABEL_MAX + 1);
            if more == next {
                break;
            }
            last = more;
        }
        if end == label || last - label > LABEL_MAX || last - domain > DOMAIN_MAX {
            break;
        }
        if labels > 0 && is_top_level(view, label, end, last) {
            good = Some(if view.slice(label..end).eq_ignore_ascii_case(b"xn") { last } else { end });
        }
        labels += 1;
        if view.at(last) != Some(b'.') {
            break;
        }
        label = last + 1;
    }
    let end = good?;
    let is_call = view.at(end) == Some(b'(') && !view.is(end + 1, DIGIT);
    (!is_call && !is_file(view, domain, end)).then_some(end)
}

/// Whether the label `start..end`, or up to `last` with hyphens, may be a top-level domain.
fn is_top_level(view: &View<'_>, start: usize, end: usize, last: usize) -> bool {
    let label = view.slice(start..end);
    let letters = label.len() >= 2 && label.iter().all(|byte| is(*byte, ALPHA) || *byte >= 0x80);
    letters || (label.eq_ignore_ascii_case(b"xn") && last > end)
}

/// Whether the domain belongs to a file name for dense displays: `@2x.png`.
fn is_file(view: &View<'_>, domain: usize, end: usize) -> bool {
    let name = view.slice(domain..end);
    let dense = name.first().is_some_and(|byte| is(*byte, DIGIT)) && name.get(1) == Some(&b'x');
    let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    dense && FILE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}
