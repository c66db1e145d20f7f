//! Configuration that a running Envoy reloads: a bootstrap that stays, and files for the rest.
//!
//! Envoy watches the directory. Files are moved into place one after another, clusters first and
//! listeners last, and where Envoy can be asked each is waited for: so a cluster is there before a
//! route or the filter names it. A cluster that is no longer named stays for a while, and so does the
//! way to it: connections from before keep the filter's configuration of before until they are drained,
//! and share the routes with the new ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_filter::event::resource::DEFAULT_NODE as NODE;

use super::bootstrap::{admin as render_admin, check_routes};
use super::listener::{self, Routes};
use super::parts::{Options, Parts};
use super::secrets::Secrets;
use super::{routes, tunnel};
use crate::admin::{Admin, AdminError, number};
use crate::gateway::{Error, Gateway};
use crate::yaml::{set, to_yaml};

/// How long a cluster stays that is no longer named: longer than Envoy's own drain time, 10 minutes.
pub const KEEP_RETIRED: Duration = Duration::from_secs(15 * 60);
/// How long Envoy may take for one file; a cluster's first name resolution is part of it.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often Envoy is asked.
const PAUSE: Duration = Duration::from_millis(50);

const CLUSTERS: &str = "clusters.yaml";
const ROUTES: &str = "routes.yaml";
const LISTENERS: &str = "listeners.yaml";
/// The directory of the resource files for secrets.
const SECRETS: &str = "secrets";
/// When each cluster that is no longer named was retired, in Unix seconds.
const RETIRED: &str = "retired.json";

/// A gateway as a bootstrap and files.
#[derive(Clone, Debug, PartialEq)]
pub struct Hot {
    /// The bootstrap, which stays the same whatever becomes of providers, models and keys.
    pub bootstrap: String,
    dir: PathBuf,
    secrets: Vec<(PathBuf, String)>,
    clusters: Vec<Value>,
    routes: Vec<Value>,
    listeners: Vec<Value>,
}

/// What became of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// The files that were written, in order.
    pub written: Vec<PathBuf>,
    /// Whether a running Envoy has said that it has taken them.
    pub taken: bool,
    /// The clusters that stay though nothing refers to them any more.
    pub retired: Vec<String>,
}

/// Why the files could not be put into place.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration could not be written as YAML.
    #[error(transparent)]
    Output(#[from] Error),
    /// Envoy stopped answering.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Envoy refused a file; the one of before is back in its place.
    #[error("Envoy refused {}, and goes on as before; its log says why. The file is as it was", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
    },
    /// Envoy has not taken a file in time.
    #[error("Envoy has not taken {} within {DEADLINE:?}; is a host's name not to be resolved?", path.display())]
    TimedOut {
        /// The file.
        path: PathBuf,
    },
}

/// Renders a bootstrap, and the files that Envoy will find in `dir`, an absolute path.
pub fn hot(gateway: &Gateway, options: &Options, dir: &Path) -> Result<Hot, Error> {
    check_routes(gateway)?;
    let secrets_dir = dir.join(SECRETS);
    let mut secrets = Secrets::in_files(&secrets_dir);
    let parts = Parts::new(gateway, options, &mut secrets)?;
    let elsewhere = Routes::Elsewhere("weir", source(dir, ROUTES));
    let mut listeners = vec![listener::render(gateway, parts.filters, &elsewhere, &mut secrets)?];
    listeners.extend(parts.tunnels);
    let mut bootstrap = json!({
        "node": {"id": NODE, "cluster": NODE},
        "dynamic_resources": {
            "# weir-config moves new files into this directory; Envoy reads them when they come.": null,
            "cds_config": source(dir, CLUSTERS),
            "lds_config": source(dir, LISTENERS),
        },
        // Always, since a provider behind a proxy may come later.
        "bootstrap_extensions": [tunnel::extension()],
    });
    render_admin(gateway, &mut bootstrap);
    Ok(Hot {
        bootstrap: to_yaml(&bootstrap)?,
        dir: dir.to_owned(),
        secrets: secrets.files,
        clusters: parts.clusters,
        routes: parts.routes,
        listeners,
    })
}

fn source(dir: &Path, file: &str) -> Value {
    json!({
        "path_config_source": {"path": dir.join(file), "watched_directory": {"path": dir}},
        "resource_api_version": "V3",
    })
}

impl Hot {
    /// Puts the files into place. Where an Envoy responds at `admin`, each step waits until it has taken the
    /// one before; where none does, they are for the next one that starts. After an error what was written
    /// before stays, and does no harm by itself.
    pub fn publish(&self, admin: Option<&Admin>, now: SystemTime) -> Result<Publish, PublishError> {
        let admin = admin.filter(|admin| admin.stats("server.live").is_ok());
        let mut done = Publish { taken: admin.is_some(), ..Publish::default() };
        for (path, content) in &self.secrets {
            if replace(path, content)? {
                done.written.push(path.clone());
            }
        }
        let retired = self.retired(now)?;
        done.retired = retired.keys().cloned().collect();
        let clusters: Vec<Value> = self
            .clusters
            .iter()
            .cloned()
            .chain(retired.values().map(|(_, cluster)| cluster.clone()))
            .collect();
        let since: BTreeMap<&String, u64> = retired.iter().map(|(name, (since, _))| (name, *since)).collect();
        replace(&self.dir.join(RETIRED), &format!("{:#}\n", json!(since)))?;

        let mut routes = self.routes.clone();
        for name in retired.keys() {
            routes::add_cluster(&mut routes, name);
        }
        let routes = listener::route_configuration(&routes);

        let cluster_type = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
        let route_type = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
        let listener_type = "type.googleapis.com/envoy.config.listener.v3.Listener";
        for (file, kind, resources, stats, warming) in [
            (CLUSTERS, cluster_type, clusters, "cluster_manager.cds", "cluster_manager.warming_clusters"),
            (ROUTES, route_type, vec![routes], "http.weir.rds.weir", ""),
            (
                LISTENERS,
                listener_type,
                self.listeners.clone(),
                "listener_manager.lds",
                "listener_manager.total_listeners_warming",
            ),
        ] {
            let (version, content) = resource_file(kind, resources)?;
            let path = self.dir.join(file);
            let before = fs::read_to_string(&path).ok();
            let refused = |admin: &Admin| {
                let stats = admin.stats(&format!("{stats}.update_rejected"))?;
                Ok::<u64, AdminError>(stats.values().filter_map(|value| value.parse::<u64>().ok()).sum())
            };
            let refused_before = admin.map(refused).transpose()?;
            if !replace(&path, &content)? {
                continue;
            }
            done.written.push(path.clone());
            let (Some(admin), Some(refused_before)) = (admin, refused_before) else { continue };
            let start = Instant::now();
            loop {
                let seen = admin.stats(&format!("{stats}.version_text|{warming}"))?;
                let is_taken = seen.get(&format!("{stats}.version_text")) == Some(&version);
                if is_taken && (warming.is_empty() || number(&seen, warming) == 0) {
                    break;
                }
                if !is_taken && refused(admin)? > refused_before {
                    if let Some(before) = before {
                        replace(&path, &before)?;
                    }
                    return Err(PublishError::Refused { path });
                }
                if start.elapsed() > DEADLINE {
                    return Err(PublishError::TimedOut { path });
                }
                std::thread::sleep(PAUSE);
            }
        }
        self.sweep()?;
        Ok(done)
    }

    /// The clusters of before that are no longer named and were retired not too long ago, by name, each
    /// with the time at which it was.
    fn retired(&self, now: SystemTime) -> Result<BTreeMap<String, (u64, Value)>, PublishError> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let since: BTreeMap<String, u64> = fs::read_to_string(self.dir.join(RETIRED))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let Ok(before) = fs::read_to_string(self.dir.join(CLUSTERS)) else { return Ok(BTreeMap::new()) };
        // A file that cannot be read is not ours, and is dropped.
        let before: Value = serde_saphyr::from_str(&before).unwrap_or_default();
        let named: BTreeSet<&str> =
            self.clusters.iter().filter_map(|cluster| cluster["name"].as_str()).collect();
        let clusters = before.get("resources").and_then(Value::as_array).into_iter().flatten();
        Ok(clusters
            .filter_map(|cluster| Some((cluster["name"].as_str()?.to_owned(), cluster.clone())))
            .filter(|(name, _)| !named.contains(name.as_str()))
            .map(|(name, cluster)| {
                let since = since.get(&name).copied().unwrap_or(now);
                (name, (since, cluster))
            })
            .filter(|(_, (since, _))| now.saturating_sub(*since) < KEEP_RETIRED.as_secs())
            .collect())
    }

    /// Removes resource files for secrets that neither listeners nor clusters name.
    fn sweep(&self) -> Result<(), PublishError> {
        let dir = self.dir.join(SECRETS);
        let Ok(entries) = fs::read_dir(&dir) else { return Ok(()) };
        let read = |file: &str| fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        let named = read(CLUSTERS) + &read(LISTENERS);
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if !named.contains(&*name.to_string_lossy()) {
                fs::remove_file(&path).map_err(|source| PublishError::Io { path, source })?;
            }
        }
        Ok(())
    }
}

/// A file of resources, and its version, which is a digest of them.
fn resource_file(kind: &str, resources: Vec<Value>) -> Result<(String, String), Error> {
    let resources: Vec<Value> = resources
        .into_iter()
        .map(|mut resource| {
            set(&mut resource, "@type", json!(kind));
            resource
        })
        .collect();
    let digest = Sha256::digest(json!(resources).to_string());
    let version: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let content = to_yaml(&json!({"version_info": version, "resources": resources}))?;
    Ok((version, content))
}

/// Moves a file into place, whole; false where it already is as it should be.
fn replace(path: &Path, content: &str) -> Result<bool, PublishError> {
    let at = |source| PublishError::Io { path: path.to_owned(), source };
    if fs::read_to_string(path).is_ok_and(|there| there == content) {
        return Ok(false);
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(at)?;
    }
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, content).and_then(|()| fs::rename(&unfinished, path)).map_err(at)?;
    Ok(true)
}
