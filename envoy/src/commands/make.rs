//! Makes what a gateway needs beside its configuration (keys, users of NATS, an image), or a configuration from
//! another gateway's.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use weir_config::{NewKey, bus, image};

use crate::cli::ImportArg;

/// Makes a configuration from that of another gateway.
pub(crate) fn import(from: ImportArg, file: &Path) -> anyhow::Result<()> {
    let source = match from {
        ImportArg::Litellm => weir_config::import::Source::LiteLlm,
        ImportArg::Truefoundry => weir_config::import::Source::TrueFoundry,
        ImportArg::TruefoundryOtel => weir_config::import::Source::TrueFoundryOtel,
    };
    let mut yaml = String::new();
    match file.as_os_str().as_encoded_bytes() {
        b"-" => io::stdin().read_to_string(&mut yaml).map(drop)?,
        _ => {
            yaml = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        }
    }
    let imported = weir_config::import::import(source, &yaml).with_context(|| file.display().to_string())?;
    for note in &imported.notes {
        writeln!(io::stderr(), "note: {note}")?;
    }
    io::stdout().write_all(imported.yaml.as_bytes())?;
    Ok(())
}

/// Makes certificates, users and the token.
pub(crate) fn bus(dir: &Path, hosts: Vec<String>, server_dir: PathBuf) -> anyhow::Result<()> {
    let made = bus::make(&bus::Wanted { dir: dir.to_owned(), hosts, server_dir })?;
    let what = match made {
        bus::Made::New => "made certificates, users and the token",
        bus::Made::Kept => "all is there and stays as it is",
    };
    writeln!(io::stdout(), "{}: {what}", dir.display())?;
    Ok(())
}

/// Writes the filter's image.
pub(crate) fn image(wasm: &Path, output: &Path, tag: &str) -> anyhow::Result<()> {
    let filter = fs::read(wasm).with_context(|| format!("--wasm {}", wasm.display()))?;
    let digest = image::write(&filter, tag, output)
        .with_context(|| format!("{} into {}", wasm.display(), output.display()))?;
    writeln!(io::stdout(), "{}:{tag} {digest}", output.display())?;
    Ok(())
}

/// Makes a key.
pub(crate) fn key(name: &str) -> anyhow::Result<()> {
    let key = NewKey::generate(name)?;
    writeln!(
        io::stdout(),
        "{}\n\nGive it to its holder now: it is stored nowhere and not shown again. Its line under `keys:` in \
         gateway.yaml:\n\n  {}",
        key.secret,
        key.line(),
    )?;
    Ok(())
}
