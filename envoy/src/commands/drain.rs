//! Empties a running Envoy.

use std::io::{self, Write as _};
use std::time::Duration;

use weir_config::{Admin, drain};

use crate::cli::DrainArgs;

/// Drains it.
pub(crate) fn drain(DrainArgs { admin, grace, timeout }: &DrainArgs) -> anyhow::Result<()> {
    let how = drain::Drain { grace: Duration::from_secs(*grace), timeout: Duration::from_secs(*timeout) };
    drain::drain(&Admin::new(admin), how)?;
    writeln!(
        io::stdout(),
        "drained: no request is under way and the exporter has every trace event; end Envoy now"
    )?;
    Ok(())
}
