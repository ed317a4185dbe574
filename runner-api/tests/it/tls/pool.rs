//! One client per runner and certificate files.

use runner_api::{Client, ClientKey, ClientPool, RunnerToken};

use super::ask;
use crate::script::{Script, with};

const URL: &str = "https://gitlab.example.com";

fn key(token: &str) -> ClientKey {
    ClientKey::new(URL, RunnerToken::new(token))
}

fn entry(pool: &ClientPool, key: ClientKey, script: &Script) -> Client {
    pool.client(key, || script.builder().build()).unwrap()
}

#[tokio::test]
async fn scenario_11_the_same_entries_share_the_queue_position() {
    let position = |position: &'static str| with(204, &[("X-GitLab-Last-Update", position)], "");
    let script = Script::new([position("one"), position("two"), position("three"), position("four")]);
    let pool = ClientPool::default();
    let (first, second) = (entry(&pool, key("a"), &script), entry(&pool, key("a"), &script));
    let other = entry(&pool, key("b"), &script);
    for client in [&first, &second, &other, &first] {
        ask(client).await.unwrap();
    }
    let sent: Vec<_> = script.asked().iter().map(|asked| asked.json().get("last_update").cloned()).collect();
    assert_eq!(sent, [None, Some("one".into()), None, Some("two".into())]);
    assert_eq!(
        (second.last_update(), other.last_update()),
        (Some("four".to_owned()), Some("three".to_owned()))
    );
}

#[test]
fn scenario_11_files_and_addresses_are_part_of_the_runner() {
    let keys = [
        key("a"),
        key("b"),
        ClientKey::new("https://gitlab.example.com/", RunnerToken::new("a")),
        key("a").with_ca_file("/ca.crt"),
        key("a").with_certificate_file("/ca.crt"),
        key("a").with_ca_file("/ca.crt").with_certificate_file("/client.crt"),
    ];
    let pool = ClientPool::default();
    let script = Script::new([]);
    let clients = keys.clone().map(|key| entry(&pool, key, &script));
    assert_eq!(pool.len(), keys.len());
    for key in &keys {
        let told = || -> Result<Client, runner_api::Error> { panic!("{key:?} has a client") };
        pool.client(key.clone(), told).unwrap();
        assert!(!format!("{key:?}").contains("gitlab.example.com"), "addresses may contain passwords");
    }
    drop(clients);
}

#[tokio::test]
async fn a_pool_keeps_its_clients_until_it_is_told() {
    let script = Script::new([with(204, &[("X-GitLab-Last-Update", "one")], "")]);
    let pool = ClientPool::default();
    assert!(pool.is_empty());
    let failed = pool.client(key("a"), || Err(runner_api::BaseUrl::parse("nothing").unwrap_err()));
    assert!(failed.is_err() && pool.is_empty());

    let client = entry(&pool, key("a"), &script);
    ask(&client).await.unwrap();
    drop(client);
    // The configuration was loaded again; a token was rotated meanwhile.
    let (again, rotated) = (entry(&pool, key("a"), &script), entry(&pool, key("b"), &script));
    assert_eq!(again.last_update().as_deref(), Some("one"));
    let job = again.job(1, "job".into());
    drop(again);
    assert_eq!(pool.evict_unused(), 0, "a job still uses it");
    drop(job);
    assert_eq!((pool.evict_unused(), pool.len()), (1, 1));
    drop(rotated);
    assert_eq!((pool.evict_unused(), pool.len()), (1, 0));
}
