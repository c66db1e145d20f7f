//! The filter as an OCI image, written as an image layout (OCI Image Format Specification, "Image Layout") without
//! any daemon: what Istio, Envoy Gateway and Envoy's image volumes load by URL.
//!
//! The image is the "compat" variant of the Wasm Image Specification: one layer, and in it `plugin.wasm`. The same
//! filter gives the same bytes, so that its digest is known beforehand.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use crate::yaml::set;
use sha2::{Digest as _, Sha256};

/// The file's name in the layer.
const PLUGIN: &str = "plugin.wasm";

/// What a wasm module begins with (WebAssembly Core Specification, "Modules").
const MAGIC: &[u8] = b"\0asm";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Why no image was written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file is no wasm module.
    #[error("it is not a wasm module: it does not begin with \\0asm")]
    NotWasm,
    /// The layout cannot be written.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The layer cannot be packed.
    #[error("cannot pack the layer: {0}")]
    Pack(io::Error),
}

/// Writes the image of this filter into a directory, which is made; gives the manifest's digest, by which
/// registries and Istio's `sha256` know it.
pub fn write(wasm: &[u8], tag: &str, dir: &Path) -> Result<String, ImageError> {
    if !wasm.starts_with(MAGIC) {
        return Err(ImageError::NotWasm);
    }
    let tar = tar(wasm).map_err(ImageError::Pack)?;
    let layer = gzip(&tar).map_err(ImageError::Pack)?;
    let config = json!({
        "architecture": "wasm",
        "os": "wasi",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
    });
    let config = config.to_string().into_bytes();
    let annotations = json!({
        "module.wasm.image/variant": "compat",
        "org.opencontainers.image.title": "weir",
        "org.opencontainers.image.description": "Weir's filter: an AI gateway inside Envoy",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": weir_event::VERSION,
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config),
        "layers": [descriptor(LAYER, &layer)],
        "annotations": annotations,
    });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = descriptor(MANIFEST, &manifest);
    set(&mut entry, "annotations", json!({"org.opencontainers.image.ref.name": tag}));
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]});

    let blobs = dir.join("blobs").join("sha256");
    fs::create_dir_all(&blobs).map_err(|source| ImageError::Write { path: blobs.clone(), source })?;
    for blob in [&layer, &config, &manifest] {
        put(&blobs.join(hex(blob)), blob)?;
    }
    put(&dir.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string().as_bytes())?;
    put(&dir.join("index.json"), index.to_string().as_bytes())?;
    Ok(digest(&manifest))
}

fn put(path: &Path, content: &[u8]) -> Result<(), ImageError> {
    fs::write(path, content).map_err(|source| ImageError::Write { path: path.to_owned(), source })
}

/// One file, of nobody and of no time.
fn tar(wasm: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(wasm.len()).map_err(io::Error::other)?);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, PLUGIN, wasm)?;
    archive.into_inner()
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(content), "size": content.len()})
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex(content))
}

/// The SHA-256 of this in hexadecimal.
fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn json(path: &Path) -> Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn the_layer_holds_the_filter_as_plugin_wasm_and_every_digest_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let wasm = b"\0asm\x01\0\0\0and so on";
        let reported = write(wasm, "latest", dir.path()).unwrap();
        let blob = |digest: &Value| {
            let name = digest.as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
            let content = fs::read(dir.path().join("blobs/sha256").join(&name)).unwrap();
            assert_eq!(hex(&content), name);
            content
        };
        let index = json(&dir.path().join("index.json"));
        let entry = &index["manifests"][0];
        assert_eq!(entry["digest"], reported);
        let manifest: Value = serde_json::from_slice(&blob(&entry["digest"])).unwrap();
        assert_eq!(manifest["annotations"]["module.wasm.image/variant"], "compat");
        let layer = &manifest["layers"][0];
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        let packed = blob(&layer["digest"]);
        assert_eq!(layer["size"], packed.len());
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut tar).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"]["digest"])).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&tar));
        let mut archive = tar::Archive::new(&tar[..]);
        let mut files = archive.entries().unwrap();
        let mut file = files.next().unwrap().unwrap();
        assert_eq!(file.path().unwrap().to_str(), Some("plugin.wasm"));
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(content, wasm);
        assert!(files.next().is_none());
    }

    #[test]
    fn the_same_filter_gives_the_same_image_and_what_is_none_is_refused() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let digests = [a.path(), b.path()].map(|dir| write(b"\0asm\x01\0\0\0", "latest", dir).unwrap());
        assert_eq!(digests[0], digests[1]);
        assert!(matches!(write(b"#!/bin/sh", "latest", a.path()), Err(ImageError::NotWasm)));
    }
}
