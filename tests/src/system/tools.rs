//! Where the programs are that the harness and `weir-run` start.
//!
//! Tools from elsewhere come from one directory, `$WEIR_TOOLS`, which `make setup` fills; our own
//! binaries lie beside the test's. Neither is searched in `PATH`, so what runs is what was pinned; only what comes with
//! the system is ([`in_path`]).

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};

const NO_HOME: &str =
    "set WEIR_TOOLS to the directory that `make setup` filled: HOME is not set, so it cannot be guessed";

/// The pinned Envoy.
pub fn envoy() -> anyhow::Result<PathBuf> {
    tool("Envoy", "bin/envoy")
}

/// The pinned nats-server.
pub fn nats_server() -> anyhow::Result<PathBuf> {
    tool("nats-server", "bin/nats-server")
}

/// libfaketime, by which a program gets another wall clock.
pub fn libfaketime() -> anyhow::Result<PathBuf> {
    tool("libfaketime", "bin/libfaketime.so")
}

/// A Python in whose environment the official packages `openai`, `anthropic` and `google-genai` are
/// installed.
pub fn clients_python() -> anyhow::Result<PathBuf> {
    tool("Python with the APIs' official packages", "clients/bin/python")
}

/// A Python in whose environment LiteLLM's proxy is installed.
pub fn litellm_python() -> anyhow::Result<PathBuf> {
    tool("LiteLLM", "litellm/bin/python")
}

/// The directory that Portkey's gateway is installed in.
pub fn portkey() -> anyhow::Result<PathBuf> {
    let manifest = tool("Portkey's gateway", "portkey/package.json")?;
    Ok(manifest.parent().map(Path::to_owned).unwrap_or_default())
}

/// The filter's wasm file: `$WEIR_WASM`, else `weir_filter.wasm` in cargo's target directory.
pub fn wasm() -> anyhow::Result<PathBuf> {
    let path = match env::var_os("WEIR_WASM") {
        Some(path) => PathBuf::from(path),
        None => profile_dir()?.join("../weir_filter.wasm"),
    };
    own("the filter (weir_filter.wasm)", &path)
}

/// A binary of this workspace, by its name.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    own(name, &profile_dir()?.join(name))
}

/// A program of the system, such as `taskset`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// The directory of the running program's build profile, such as `target/debug`.
fn profile_dir() -> anyhow::Result<PathBuf> {
    let exe =
        env::current_exe().map_err(|error| anyhow!("the path of the running program is unknown: {error}"))?;
    let dir = exe.parent().unwrap_or(Path::new("."));
    // Tests lie one level deeper, in `deps`.
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    Ok(dir.to_owned())
}

fn tools_dir() -> anyhow::Result<PathBuf> {
    if let Some(dir) = env::var_os("WEIR_TOOLS") {
        return Ok(PathBuf::from(dir));
    }
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME").context(NO_HOME)?).join(".cache"),
    };
    Ok(cache.join("weir/tools"))
}

fn tool(name: &str, relative: &str) -> anyhow::Result<PathBuf> {
    let path = tools_dir()?.join(relative);
    if !path.is_file() {
        bail!("{name} is missing at {}: run `make setup`", path.display());
    }
    Ok(path)
}

fn own(name: &str, path: &Path) -> anyhow::Result<PathBuf> {
    // Envoy wants an absolute path, and `..` in a message only confuses.
    let (absolute, path) = (path.canonicalize(), path.display());
    let what = "run `make test` or `make run`, which build it first";
    absolute.map_err(|_| anyhow!("{name} is missing at {path}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_was_not_built_is_named_with_what_to_do() {
        let error = binary("weir-nowhere").expect_err("not there").to_string();
        assert!(error.contains("weir-nowhere") && error.contains("make test"), "{error}");
    }

    #[test]
    fn the_profile_directory_of_a_test_is_not_deps() {
        assert!(!profile_dir().expect("a directory").ends_with("deps"));
    }
}
