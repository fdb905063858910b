//! The protocol, in every order of its steps.
#![cfg(loom)]

use downstream::{Client, Server};
use flue_core::{CreateError, PostOffice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A client has asked, and crashes while the server serves it.
fn explore(make: fn(&PostOffice) -> Result<Server, CreateError>) {
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = executions.clone();
    let mut model = loom::model::Builder::new();
    model.max_branches = 10_000; // Steps of one execution: the set-up counts.
    model.check(move || {
        counted.fetch_add(1, Relaxed);
        let office = PostOffice::new();
        let mut server = make(&office).unwrap();
        let client = Client::new(&office, &server).unwrap();
        client.ask().unwrap();
        let group = client.group().clone();
        let crashing = loom::thread::spawn(move || group.kill());
        assert!(server.serve());
        crashing.join().unwrap();
        while server.serve() {}
        assert_eq!(server.permits(), 1, "the permit came back twice, or never");
    });
    let executions = executions.load(Relaxed);
    println!("{executions} executions");
    assert!(executions > 1, "nothing raced");
}

#[test]
fn the_permit_comes_back_once() {
    explore(Server::new);
}

#[test]
#[ignore = "must fail: ci/downstream.sh sees to it that it does"]
fn a_hasty_server_has_two() {
    explore(Server::hasty);
}
