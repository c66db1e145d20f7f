use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn made(dir: &Path, hosts: &[&str]) -> Result<Made, BusError> {
    make(&Wanted {
        dir: dir.to_owned(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        server_dir: "/etc/weir/nats".into(),
    })
}

fn read(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap()
}

#[test]
fn each_gets_what_it_needs_and_nats_none_of_its_users_secrets() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(made(dir.path(), &["nats"]).unwrap(), Made::New);
    let config = read(dir.path(), "nats/nats.conf");
    for user in User::ALL {
        let seed = read(dir.path(), &format!("{}/nkey", user.name()));
        let key = KeyPair::from_seed(&seed).unwrap();
        assert!(config.contains(&key.public_key()) && !config.contains(&seed));
    }
    assert_eq!(read(dir.path(), "ingest/token"), read(dir.path(), "envoy/token"));
    assert!(!dir.path().join("nats/token").exists());
    let mut files =
        fs::read_dir(dir.path()).unwrap().flat_map(|dir| fs::read_dir(dir.unwrap().path()).unwrap());
    assert!(files.all(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o077 == 0));
}

#[test]
fn the_accounts_are_yaml_that_the_values_of_a_chart_can_hold() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), &["nats"]).unwrap();
    let config = read(dir.path(), "nats/nats.conf");
    let (accounts, _) = config.split_once("accounts {\n").unwrap().1.split_once("\n}\n").unwrap();
    let accounts: serde_json::Value =
        serde_saphyr::from_str(&format!("accounts: {{\n{accounts}\n}}")).unwrap();
    let accounts = accounts["accounts"].as_object().unwrap();
    assert_eq!(accounts.len(), User::ALL.len());
    for account in accounts.values() {
        let user = &account["users"][0];
        assert!(user["nkey"].as_str().unwrap().starts_with('U'), "{account}");
        assert!(user["permissions"]["publish"].as_array().unwrap().len() > 5, "{account}");
        assert_eq!(user["permissions"]["subscribe"].as_array().unwrap().len(), 1, "{account}");
        let (exports, imports) = (account["exports"].as_array(), account["imports"].as_array());
        assert!(exports.or(imports).unwrap().len() > 5, "{account}");
    }
}

#[test]
fn a_second_run_changes_nothing_and_an_interrupted_one_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), &["nats"]).unwrap();
    let before = read(dir.path(), "ship/nkey");
    assert_eq!(made(dir.path(), &["nats"]).unwrap(), Made::Kept);
    assert_eq!(read(dir.path(), "ship/nkey"), before);
    fs::remove_file(dir.path().join("nats/nats.conf")).unwrap();
    assert_eq!(made(dir.path(), &["nats"]).unwrap(), Made::New);
    assert_ne!(read(dir.path(), "ship/nkey"), before);
}

#[test]
fn several_hosts_are_the_nodes_of_a_cluster() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), &["nats-1", "nats-2"]).unwrap();
    let config = read(dir.path(), "nats/nats.conf");
    assert!(
        config.contains("@nats-1:6222") && config.contains("@nats-2:6222") && config.contains("verify: true")
    );
}

#[test]
fn a_host_that_is_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = made(dir.path(), &["nats", "na\"ts"]).unwrap_err().to_string();
    assert_eq!(error, "--host \"na\\\"ts\": must be a host name or an address, such as nats-1");
}
