//! The page itself: plain files that are part of the program, found again by their digest.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal $kind:ident,)*) => {
        &[$(Asset { name: $name, kind: $kind, body: include_bytes!(concat!("assets/", $name)) },)*]
    };
}

const ASSETS: &[Asset] = assets! {
    "index.html" HTML,
    "style.css" STYLE,
    "icon.svg" IMAGE,
    "theme.js" SCRIPT,
    "api.js" SCRIPT,
    "app.js" SCRIPT,
    "charts.js" SCRIPT,
    "dead-letters.js" SCRIPT,
    "destination.js" SCRIPT,
    "dom.js" SCRIPT,
    "format.js" SCRIPT,
    "ledger.js" SCRIPT,
    "overview.js" SCRIPT,
    "settings.js" SCRIPT,
    "trace.js" SCRIPT,
    "traces.js" SCRIPT,
};

/// By which a browser knows that it has the newest of each, in the order of [`ASSETS`].
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |asset: &Asset| {
        let digest = Sha256::digest(asset.body);
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::from_str(&format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
    };
    ASSETS.iter().map(tag).collect()
});

/// `GET /`.
pub(super) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

/// `GET /assets/{name}`.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

fn serve(name: &str, headers: &HeaderMap) -> Response {
    let found = ASSETS.iter().zip(TAGS.iter()).find(|(asset, _)| asset.name == name);
    let Some((asset, tag)) = found else { return StatusCode::NOT_FOUND.into_response() };
    let fresh = [(ETAG, tag.clone()), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if headers.get(IF_NONE_MATCH) == Some(tag) {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    (fresh, [(CONTENT_TYPE, HeaderValue::from_static(asset.kind))], asset.body).into_response()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// What the page may weigh, as it is sent.
    const MOST: usize = 150 * 1000;

    #[test]
    fn the_whole_page_weighs_less_than_150_kb() {
        let sum: usize = ASSETS.iter().map(|asset| asset.body.len()).sum();
        assert!(sum < MOST, "{sum} bytes");
    }

    #[test]
    fn every_file_of_the_page_is_served_and_loads_nothing_from_elsewhere() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/assets");
        let there: BTreeSet<_> =
            fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(there, ASSETS.iter().map(|asset| asset.name.to_owned()).collect());
        for asset in ASSETS {
            let text = str::from_utf8(asset.body).unwrap();
            let loads = ["=\"http", "=\"//", "from \"http", "import(", "@import", "url(", "fetch(\"http"];
            // What the content security policy would refuse; a test of it would be late.
            let refused = ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", " style=\"", " onclick="];
            let svg = "xmlns=\"http://www.w3.org/2000/svg\"";
            let text = text.replace(svg, "");
            for forbidden in loads.into_iter().chain(refused) {
                assert!(!text.contains(forbidden), "{forbidden} in {}", asset.name);
            }
        }
    }
}
