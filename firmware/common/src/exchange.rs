//! The least that two processes do with each other: messages both ways, a capability lent, a death noticed.

use flue_core::{DownReason, Permissions, PostOffice, Signal, StaticPostOffice};

use crate::process::Process;

/// Storage that is just enough.
pub type Office = StaticPostOffice<2, 8, 8>;

/// Storage, for a `static`.
pub const fn storage() -> Office {
    StaticPostOffice::new()
}

/// A client asks, a server answers through the capability that came with the question, and does not keep it. Then the
/// client kills the server and is told. `None` if anything went wrong.
///
/// Nothing here formats or panics: this is also the image whose size is measured.
pub fn run(office: &PostOffice, rounds: u32) -> Option<()> {
    let mut server = Process::new(office, 2, 2).ok()?;
    let mut client = Process::new(office, 2, 2).ok()?;
    let to_server = client
        .table
        .insert(&server.mailbox.capability(Permissions::SEND | Permissions::LINK))
        .ok()?;
    let me = client.mailbox.export(Permissions::SEND).ok()?;

    for number in 0..rounds {
        client.table.send(to_server, &number.to_le_bytes(), &[me]).ok()?;
        let Ok(Signal::Message(mut question)) = server.mailbox.try_recv() else {
            return None;
        };
        let doubled = u32::from_le_bytes(question.data().try_into().ok()?).wrapping_mul(2);
        let reply_to = question.take_handles().next()?;
        drop(question);
        server.table.send(reply_to, &doubled.to_le_bytes(), &[]).ok()?;
        server.table.release(reply_to).ok()?;
        let Ok(Signal::Message(answer)) = client.mailbox.try_recv() else {
            return None;
        };
        if answer.data() != number.wrapping_mul(2).to_le_bytes() {
            return None;
        }
    }

    let monitor = client.table.monitor(to_server, &client.mailbox).ok()?;
    client.table.kill(to_server).ok()?;
    let Ok(Signal::Down(down)) = client.mailbox.try_recv() else {
        return None;
    };
    (down.monitor() == monitor && down.reason() == DownReason::Killed && server.group.is_dead())
        .then_some(())
}
