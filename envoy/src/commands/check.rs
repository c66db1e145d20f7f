//! Reads a gateway.yaml, and says what is wrong or worth a warning.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use weir_config::Gateway;

/// Checks a file and says what it describes.
pub(crate) fn check(file: &Path) -> anyhow::Result<()> {
    let checked = read(file)?;
    let file = file.display();
    if checked.observes() {
        writeln!(
            io::stdout(),
            "{file}: good; observes {}. Next: weir-config istio {file}, envoy-gateway {file} or envoy --fragment {file}",
            match checked.providers.len() {
                0 => "calls to every host".to_owned(),
                count => counted(count, "provider"),
            },
        )?;
        return Ok(());
    }
    writeln!(
        io::stdout(),
        "{file}: good; {}, {}. Next: weir-config envoy {file}",
        counted(checked.providers.len(), "provider"),
        counted(checked.models.len(), "model"),
    )?;
    Ok(())
}

/// Reads and checks a gateway.yaml, and warns of what is allowed and seldom meant.
pub(super) fn read(path: &Path) -> anyhow::Result<Gateway> {
    let yaml = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let gateway = Gateway::parse(&yaml).map_err(|error| {
        let place = error.place().map(|place| format!(":{place}")).unwrap_or_default();
        anyhow::Error::from(error).context(format!("{}{place}", path.display()))
    })?;
    if let Some(listen) = gateway.listen.filter(|_| gateway.is_open()) {
        writeln!(
            io::stderr(),
            "warning: {}: there are no `keys` and no `jwt`, so whoever reaches {} may use every provider. \
             Make a key: weir-config key new --name NAME",
            path.display(),
            listen,
        )?;
    }
    Ok(gateway)
}

/// So many of a thing, as it is said.
fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
