//! The quick start: two processes, two mailboxes, and nothing between them but
//! capabilities.
//!
//! `cargo run --example two_processes`

use core::error::Error;

use flue_std::{MailboxExt, Permissions, PostOffice, Process, Signal};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    // The host sets the scene: two processes, and one capability to begin with.
    let office = PostOffice::new();
    let (alice, bob) = (Process::new(&office)?, Process::new(&office)?);
    let to_bob = alice.grant(&bob.capability(Permissions::all()))?;

    // From here on each has a table, a mailbox and integers, and no other way
    // to the other.
    let bob = bob.spawn(answer)?;
    let alice = alice.spawn(move |alice| {
        let (_, table, mailbox) = alice.parts();

        // Alice may do everything to her own mailbox; what she gives away is
        // less.
        let own = mailbox.export(Permissions::all())?;
        let reply = table.demote(own, Permissions::SEND)?;
        println!("alice: I have {:?}", table.permissions(own)?);
        table.send(to_bob, b"hello, Bob", &[reply])?;
        if let Signal::Message(message) = mailbox.recv()? {
            println!("alice: Bob says {:?}", str::from_utf8(message.data())?);
        }

        // Her capability to Bob has every permission: she may be told of his
        // end, and bring it about.
        table.monitor(to_bob, mailbox)?;
        table.kill(to_bob)?;
        if let Signal::Down(down) = mailbox.recv()? {
            println!("alice: Bob is down ({:?})", down.reason());
        }
        if let Err(error) = table.send(to_bob, b"hello?", &[]) {
            println!("alice: no more mail for Bob: {error}");
        }
        Outcome::Ok(())
    })?;

    alice.join().expect("alice does not panic")?;
    bob.join().expect("bob does not panic")
}

/// Answers every message through the capability that came with it, until
/// killed.
fn answer(bob: &mut Process) -> Outcome {
    let (_, table, mailbox) = bob.parts();
    while let Ok(Signal::Message(message)) = mailbox.recv() {
        println!("bob:   Alice says {:?}", str::from_utf8(message.data())?);
        let [reply] = *message.handles() else {
            continue;
        };
        println!("bob:   with it came {:?}", table.permissions(reply)?);
        if let Err(error) = table.kill(reply) {
            println!("bob:   may I kill her? {error}");
        }
        table.send(reply, b"hello, Alice", &[])?;
    }
    Ok(())
}
