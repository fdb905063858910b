//! What public values say of themselves, and where they may go.

use flue_core::{
    CreateError, Down, Handle, Mailbox, MailboxLimits, Message, OutOfMemory, OwnedSignal, Payload,
    Permissions, RecvError, RejectedPayload, SendError, SendWait, Signal, StaticPostOffice,
    TableError, TryRecvError,
};
use std::error::Error;
use std::fmt::Debug;

/// A sentence's part: lower case, no full stop, so that others can be built of it.
#[test]
fn errors_are_lower_case_without_a_full_stop() {
    let rejected =
        RejectedPayload { error: SendError::Closed, payload: Payload::from(&b"Payload."[..]) };
    let errors: Vec<Box<dyn Error>> = vec![
        Box::new(TableError::InvalidHandle),
        Box::new(TableError::PermissionDenied),
        Box::new(TableError::PostOfficeMismatch),
        Box::new(TableError::Dead),
        Box::new(TableError::Closed),
        Box::new(TableError::Full),
        Box::new(TableError::LimitReached),
        Box::new(TableError::OutOfMemory),
        Box::new(CreateError::Dead),
        Box::new(CreateError::LimitReached),
        Box::new(CreateError::OutOfMemory),
        Box::new(CreateError::PostOfficeMismatch),
        Box::new(CreateError::TableMismatch),
        Box::new(TryRecvError::Empty),
        Box::new(TryRecvError::Dead),
        Box::new(RecvError),
        Box::new(OutOfMemory),
        Box::new(SendError::Dead),
        Box::new(SendError::TooManyHandles),
        Box::new(SendError::TooLarge),
        Box::new(SendError::InvalidHandle),
        Box::new(SendError::PermissionDenied),
        Box::new(SendError::InvalidAttachment { index: 3 }),
        Box::new(SendError::Closed),
        Box::new(SendError::Full),
        Box::new(SendError::OutOfMemory),
        Box::new(SendError::PostOfficeMismatch),
        Box::new(rejected),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 5 && text == text.trim(), "{text:?}");
        assert_eq!(text, text.to_lowercase());
        assert!(!text.ends_with(['.', '!', ':', ',']), "{text}");
    }
}

/// What is printed of two processes, of which the second is preceded and accompanied by
/// so much else in the office that every index, generation and count differs.
fn printed(busy: bool) -> Vec<String> {
    static QUIET: StaticPostOffice<32, 64, 128> = StaticPostOffice::new();
    static BUSY: StaticPostOffice<32, 64, 128> = StaticPostOffice::new();
    let office = if busy { BUSY.office() } else { QUIET.office() };
    let mut small = MailboxLimits::DEFAULT;
    (small.messages, small.handles) = (2, 2);
    let others: Vec<_> = (0..if busy { 17 } else { 0 })
        .map(|at| {
            let group = office.create_group().unwrap();
            let table = group.create_table().unwrap();
            let mailbox = group.create_mailbox_with(&table, small).unwrap();
            (at % 3 != 0).then_some((group, table, mailbox))
        })
        .collect();
    let group = office.create_group().unwrap();
    let table = group.create_table().unwrap();
    for at in 0..if busy { 5 } else { 0 } {
        let other = others.iter().flatten().nth(at).unwrap();
        let handle = table.insert(&other.2.capability(Permissions::SEND)).unwrap();
        if at % 2 == 0 {
            table.release(handle).unwrap();
        }
    }
    let mut mailbox = group.create_mailbox_with(&table, small).unwrap();
    let handle = mailbox.export(Permissions::SEND).unwrap();
    let capability = mailbox.capability(Permissions::SEND);
    let mut lines = Vec::new();
    let mut says = |value: &dyn Debug| lines.push(format!("{value:?} {value:#?}"));
    says(&handle);
    says(&capability);
    says(&[&QUIET as &dyn Debug, &*office, &office, &group, &table, &mailbox, &SendWait::new()]);

    table.send(handle, b"secret", &[handle]).unwrap();
    says(&mailbox.try_recv().unwrap());
    table.send(handle, b"secret", &[handle]).unwrap();
    says(&mailbox.try_recv().unwrap().into_owned());

    let watched = group.create_mailbox_with(&table, small).unwrap();
    let id = watched.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
    // A mailbox's own monitors are numbered, whatever others do.
    assert_eq!((id.number(), format!("{id:?}")), (1, "MonitorId(1)".to_owned()));
    watched.close();
    says(&mailbox.try_recv().unwrap());
    let watched = group.create_mailbox_with(&table, small).unwrap();
    watched.capability(Permissions::MONITOR).monitor(&mailbox).unwrap();
    watched.close();
    says(&mailbox.try_recv().unwrap().into_owned());
    let error = table.send(handle, b"", &[Handle::from_raw(u64::MAX).unwrap()]).unwrap_err();
    says(&error);
    says(&table.send_payload(handle, Payload::from(&[7; 99][..]), &[handle; 9]).unwrap_err());
    lines
}

/// `Debug` shows nothing that helps to forge or to count: it says the same of a process
/// whatever else there is in its office.
#[test]
fn debug_shows_nothing_of_others() {
    let quiet = printed(false);
    assert_eq!(quiet, printed(true));
    assert_eq!(quiet[0], "Handle(..) Handle(..)");
    let all = quiet.concat();
    for byte in ["secret", "115", "0x"] {
        assert!(!all.contains(byte), "{all}");
    }
    // And each says what it is, and how it is.
    for (line, start) in quiet.iter().zip([
        "Handle(..) ",
        "Capability { permissions: Permissions(SEND), .. } ",
        "[StaticPostOffice { .. }, Office { .. }, PostOffice { .. }, RouteGroup { dead: false, .. }, Table { sealed: \
         false, .. }, Mailbox { dead: false, .. }, SendWait { in_line: false, .. }] ",
        "Message { len: 6, handles: 1, .. } ",
        "Message(OwnedMessage { len: 6, handles: 1, .. }) ",
        "Down { monitor: MonitorId(1), reason: Closed, .. } ",
        "Down(OwnedDown { monitor: MonitorId(2), reason: Closed, .. }) ",
        "InvalidAttachment { index: 0 } ",
        "RejectedPayload { error: TooManyHandles, payload: Payload { len: 99, .. } } ",
    ]) {
        assert!(line.starts_with(start), "{line} instead of {start}");
    }
}

/// Guards and futures may cross threads, though they hold the mailbox.
#[test]
fn guards_and_futures_are_send() {
    fn send<T: Send>() {}
    fn of<T: Send>(_: &T) {}
    send::<Signal<'_>>();
    send::<Message<'_>>();
    send::<Down<'_>>();
    send::<OwnedSignal>();
    send::<Mailbox>();
    send::<SendWait>();
    send::<Payload>();
    static OFFICE: StaticPostOffice<2, 8, 16> = StaticPostOffice::new();
    let group = OFFICE.office().create_group().unwrap();
    let table = group.create_table().unwrap();
    let mut few = MailboxLimits::DEFAULT;
    (few.messages, few.handles) = (2, 2);
    let mut mailbox = group.create_mailbox_with(&table, few).unwrap();
    of(&mailbox.recv_async());
    // And one does.
    let to = mailbox.export(Permissions::SEND).unwrap();
    table.send(to, b"over there", &[]).unwrap();
    let guard = mailbox.try_recv().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            assert!(matches!(&guard, Signal::Message(message) if message.data() == b"over there"));
            drop(guard);
        });
    });
    assert_eq!(mailbox.try_recv().map(drop), Err(TryRecvError::Empty));
}
