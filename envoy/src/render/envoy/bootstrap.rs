//! The whole bootstrap, and what must lie beside it.

use std::path::PathBuf;
use std::{fs, io};

use serde_json::{Value, json};
use weir_filter::event::resource::DEFAULT_NODE as NODE;
use weir_settings::ConfigError;

use super::connection::socket_address;
use super::parts::{Options, Parts};
use super::secrets::Secrets;
use super::{listener, tunnel};
use crate::gateway::{Error, Gateway};
use crate::yaml::{set, to_yaml};

/// The bootstrap, and the files beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The whole bootstrap as YAML.
    pub bootstrap: String,
    /// What must lie in the directory for secrets: the path of each file, and what stands in it.
    /// They say where Envoy finds a secret, and hold none.
    pub secrets: Vec<(PathBuf, String)>,
}

impl Rendered {
    /// Writes the files of the directory for secrets, and makes the directory where it is not
    /// there. Each is moved into place, so that an Envoy that runs reads it anew, and whole.
    pub fn write_secrets(&self) -> io::Result<()> {
        for (path, content) in &self.secrets {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            let unfinished = path.with_extension("yaml.new");
            fs::write(&unfinished, content)?;
            fs::rename(&unfinished, path)?;
        }
        Ok(())
    }
}

/// Renders the whole bootstrap, and what must lie beside it.
pub fn bootstrap(gateway: &Gateway, options: &Options) -> Result<Rendered, Error> {
    check_routes(gateway)?;
    let mut secrets = Secrets::new(options.secrets_dir.as_deref());
    let parts = Parts::new(gateway, options, &mut secrets)?;
    let routes = listener::Routes::Inline(parts.routes);
    let mut listeners = vec![listener::render(gateway, parts.filters, &routes, &mut secrets)?];
    listeners.extend(parts.tunnels);
    let mut bootstrap = json!({
        "node": {"id": NODE, "cluster": NODE},
        "static_resources": {
            "listeners": listeners,
            "clusters": parts.clusters,
            "secrets": secrets.in_bootstrap,
        },
    });
    admin(gateway, &mut bootstrap);
    if listeners.len() > 1 {
        set(&mut bootstrap, "bootstrap_extensions", json!([tunnel::extension()]));
    }
    Ok(Rendered { bootstrap: to_yaml(&bootstrap)?, secrets: secrets.files })
}

/// Refuses what has no listener and no routes to render.
pub(crate) fn check_routes(gateway: &Gateway) -> Result<(), Error> {
    if !gateway.observes() {
        return Ok(());
    }
    let message = "with `observe` there is no listener and no route to render: what is to be pasted into an Envoy that has \
                   them is rendered by `--fragment`, and what a mesh takes by `weir-config istio` and `envoy-gateway`";
    Err(ConfigError::at("mode", message).into())
}

/// Adds the admin interface, where there is one.
pub(crate) fn admin(gateway: &Gateway, bootstrap: &mut Value) {
    if let Some(admin) = gateway.admin {
        set(bootstrap, "admin", json!({"address": socket_address(&admin.ip().to_string(), admin.port())}));
    }
}
