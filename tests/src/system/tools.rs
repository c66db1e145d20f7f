//! Where the programs are that the harness and `weir-run` start.
//!
//! Tools from elsewhere come from one directory, `$WEIR_TOOLS`, which `make setup` fills; our own
//! binaries lie beside the test's. Neither is searched in `PATH`, so what runs is what was pinned; only what comes with
//! the system is ([`in_path`]).

use std::{
    env,
    path::{Path, PathBuf},
};

/// A program or file that is not there.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// A tool from elsewhere.
    #[error("{name} is missing at {path}: run `make setup`", path = .path.display())]
    Tool {
        /// What it is.
        name: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A binary or wasm file of this workspace.
    #[error("{name} is missing at {path}: run `make test` or `make run`, which build it first", path = .path.display())]
    Own {
        /// What it is.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Neither the variable nor a home directory is set.
    #[error(
        "set WEIR_TOOLS to the directory that `make setup` filled: HOME is not set, so it cannot be guessed"
    )]
    NoHome,
    /// The running program does not know where it lies.
    #[error("the path of the running program is unknown: {0}")]
    NoSelf(#[from] std::io::Error),
}

/// The pinned Envoy.
pub fn envoy() -> Result<PathBuf, ToolError> {
    tool("Envoy", "bin/envoy")
}

/// The pinned nats-server.
pub fn nats_server() -> Result<PathBuf, ToolError> {
    tool("nats-server", "bin/nats-server")
}

/// libfaketime, by which a program gets another wall clock.
pub fn libfaketime() -> Result<PathBuf, ToolError> {
    tool("libfaketime", "bin/libfaketime.so")
}

/// A Python in whose environment the official packages `openai`, `anthropic` and `google-genai` are
/// installed.
pub fn clients_python() -> Result<PathBuf, ToolError> {
    tool("Python with the APIs' official packages", "clients/bin/python")
}

/// A Python in whose environment LiteLLM's proxy is installed.
pub fn litellm_python() -> Result<PathBuf, ToolError> {
    tool("LiteLLM", "litellm/bin/python")
}

/// The directory that Portkey's gateway is installed in.
pub fn portkey() -> Result<PathBuf, ToolError> {
    let manifest = tool("Portkey's gateway", "portkey/package.json")?;
    Ok(manifest.parent().map(Path::to_owned).unwrap_or_default())
}

/// The filter's wasm file: `$WEIR_WASM`, else `weir_filter.wasm` in cargo's target directory.
pub fn wasm() -> Result<PathBuf, ToolError> {
    let path = match env::var_os("WEIR_WASM") {
        Some(path) => PathBuf::from(path),
        None => profile_dir()?.join("../weir_filter.wasm"),
    };
    own("the filter (weir_filter.wasm)", path)
}

/// A binary of this workspace, by its name.
pub fn binary(name: &str) -> Result<PathBuf, ToolError> {
    own(name, profile_dir()?.join(name))
}

/// The directory of the running program's build profile, such as `target/debug`.
/// A program of the system, such as `taskset`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

fn profile_dir() -> Result<PathBuf, ToolError> {
    let exe = env::current_exe()?;
    let dir = exe.parent().unwrap_or(Path::new("."));
    // Tests lie one level deeper, in `deps`.
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    Ok(dir.to_owned())
}

fn tools_dir() -> Result<PathBuf, ToolError> {
    if let Some(dir) = env::var_os("WEIR_TOOLS") {
        return Ok(PathBuf::from(dir));
    }
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME").ok_or(ToolError::NoHome)?).join(".cache"),
    };
    Ok(cache.join("weir/tools"))
}

fn tool(name: &'static str, relative: &str) -> Result<PathBuf, ToolError> {
    let path = tools_dir()?.join(relative);
    if path.is_file() { Ok(path) } else { Err(ToolError::Tool { name, path }) }
}

fn own(name: &str, path: PathBuf) -> Result<PathBuf, ToolError> {
    // Envoy wants an absolute path, and `..` in a message only confuses.
    path.canonicalize().map_err(|_| ToolError::Own { name: name.to_owned(), path })
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
