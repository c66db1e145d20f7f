//! What WASI preview 1 gives the VM: the environment variables that it may read, and random bytes.

use log::error;

use crate::event::vm::ENTROPY;

#[allow(unsafe_code)]
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    /// WASI preview 1, `random_get`. Envoy provides it to any module that imports it.
    fn random_get(buffer: *mut u8, len: usize) -> u32;
    /// The same, `environ_sizes_get`: how many variables there are, and how many bytes they take.
    fn environ_sizes_get(count: *mut usize, bytes: *mut usize) -> u32;
    /// The same, `environ_get`: where each variable begins, and all of them, each with a zero behind it.
    fn environ_get(places: *mut *mut u8, bytes: *mut u8) -> u32;
}

/// The environment variables that `host_env_keys` of the plugin's VM lets in, each with a zero behind it.
#[allow(unsafe_code)]
pub(super) fn variables() -> Option<Vec<u8>> {
    const MAX: usize = 1 << 20;
    let (mut count, mut size) = (0, 0);
    // SAFETY: both pointers are those of variables that outlive the call.
    if unsafe { environ_sizes_get(&raw mut count, &raw mut size) } != 0 || count > MAX || size > MAX {
        return None;
    }
    let (mut places, mut bytes) = (vec![std::ptr::null_mut(); count], vec![0; size]);
    // SAFETY: both buffers are as long as the host has just said that it needs, and outlive the call.
    if unsafe { environ_get(places.as_mut_ptr(), bytes.as_mut_ptr()) } != 0 {
        return None;
    }
    Some(bytes)
}

/// One of them.
pub(super) fn variable(name: &str) -> Option<Vec<u8>> {
    variable_in(&variables()?, name).map(<[u8]>::to_vec)
}

pub(super) fn variable_in<'a>(variables: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut pairs = variables.split(|byte| *byte == 0);
    pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[allow(unsafe_code)]
pub(super) fn entropy() -> [u8; ENTROPY] {
    let mut bytes = [0; ENTROPY];
    // SAFETY: the pointer and length are those of `bytes`, which outlives the call.
    if unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) } != 0 {
        error!("the host gave no random bytes: event ids of this worker may not be unique");
    }
    bytes
}
