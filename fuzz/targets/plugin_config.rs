//! The plugin's configuration: it is taken or refused by a field's name, and what was taken says the
//! same when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_filter::config::{Config, PluginConfig};
use weir_filter::balancing::TargetIds;

fuzz_target!(|data: &[u8]| {
    let plugin = match PluginConfig::from_json(data) {
        Ok(plugin) => plugin,
        Err(error) => return assert!(!error.message.is_empty()),
    };
    let written = serde_json::to_vec(&plugin).expect("what was read can be written");
    assert_eq!(PluginConfig::from_json(&written).expect("and read again"), plugin);
    // Compiling detectors takes longer than all else together.
    let costly = plugin.redaction.as_ref().is_some_and(|redaction| redaction.custom.len() > 2);
    if costly {
        return;
    }
    if let Err(error) = Config::new(&plugin, &mut TargetIds::default()) {
        assert!(!error.path.is_empty() && !error.message.is_empty());
    }
});
