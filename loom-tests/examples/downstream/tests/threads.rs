//! The same on threads of the machine: it works, and finds little.
#![cfg(not(loom))]

use downstream::{Client, Server};
use flue_core::PostOffice;

#[test]
fn the_permit_comes_back_once() {
    for _ in 0..1000 {
        let office = PostOffice::new();
        let mut server = Server::new(&office).unwrap();
        let client = Client::new(&office, &server).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                client.ask().unwrap();
                client.group().kill();
            });
            for _ in 0..2 {
                while !server.serve() {
                    std::thread::yield_now();
                }
            }
        });
        assert_eq!(server.permits(), 1);
    }
}
