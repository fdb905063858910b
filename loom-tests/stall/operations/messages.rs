//! Receiving, and what is done with what was received.

use super::{Operation, operation};
use crate::scene::{Played, Scene};
use crate::world::GROWS;
use flue_core::{
    DownReason, Handle, Mailbox, OwnedSignal, Payload, Permissions, Signal, TryRecvError,
};

pub const OPERATIONS: &[Operation] = &[
    operation("try_recv", &["Mailbox::try_recv", "Message::data", "Message::drop"], receive),
    operation("try_recv, 3 and none", &["Mailbox::try_recv", "Message::drop"], receive_batch),
    operation("try_recv, empty", &["Mailbox::try_recv"], receive_nothing),
    operation("try_recv, dead", &["Mailbox::try_recv"], receive_dead),
    operation(
        "try_recv, attached",
        &["Mailbox::try_recv", "Message::handles", "Message::mailbox", "Message::drop"],
        receive_attached,
    ),
    operation(
        "take_handles",
        &["Mailbox::try_recv", "Message::take_handles", "Table::release"],
        take_handles,
    ),
    operation("into_payload", &["Message::into_payload"], into_payload),
    operation(
        "into_owned",
        &[
            "Signal::into_owned",
            "Message::into_owned",
            "OwnedMessage::data",
            "OwnedMessage::handles",
            "OwnedMessage::take_handles",
            "OwnedMessage::into_payload",
        ],
        into_owned,
    ),
    operation("try_recv after a forgotten guard", &["Mailbox::try_recv"], receive_after_forgotten),
    operation(
        "try_recv, down",
        &[
            "Mailbox::try_recv",
            "Down::handle",
            "Down::monitor",
            "Down::reason",
            "Down::mailbox",
            "Down::drop",
        ],
        receive_down,
    ),
    operation("down: take_handle", &["Down::take_handle"], take_handle),
    operation(
        "down: into_owned",
        &[
            "Down::into_owned",
            "OwnedDown::handle",
            "OwnedDown::take_handle",
            "OwnedDown::monitor",
            "OwnedDown::reason",
        ],
        down_into_owned,
    ),
];

/// Puts a mail into one's own mailbox, which has room.
fn send_to_self(scene: &Scene, attach: &[Handle]) -> Played {
    let mail = scene.world.mail(scene.me, scene.me);
    scene.room(scene.table().send(scene.party().to, &mail, attach))?;
    scene.sent(scene.me, Ok(()));
    Ok(())
}

/// Receives one message of one's own, with a look at the guard.
fn receive_own<R>(mailbox: &mut Mailbox, look: impl FnOnce(Signal<'_>) -> R) -> R {
    match mailbox.try_recv() {
        Ok(signal) => look(signal),
        Err(error) => panic!("{error}"),
    }
}

fn copy(message: &flue_core::Message<'_>) -> [u8; 16] {
    message.data().try_into().expect("torn")
}

fn receive(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    send_to_self(scene, &[])?;
    let mail = scene.act(|| match mailbox.try_recv() {
        Ok(Signal::Message(message)) => Some(copy(&message)),
        _ => None,
    });
    scene.world.ledger.received(scene.me, &mail.expect("it was sent"));
    finish(scene, mailbox);
    Ok(())
}

/// Receives what came meanwhile.
fn finish(scene: &Scene, mut mailbox: impl std::ops::DerefMut<Target = Mailbox>) {
    scene.world.drain_lent(scene.me, &mut mailbox);
}

fn receive_batch(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    (0..3).try_for_each(|_| send_to_self(scene, &[]))?;
    let mut mails = [None; 4];
    scene.act(|| {
        for place in &mut mails {
            if let Ok(Signal::Message(message)) = mailbox.try_recv() {
                *place = Some(copy(&message));
            }
        }
    });
    let came = mails.iter().flatten().inspect(|mail| scene.world.ledger.received(scene.me, *mail));
    assert!(came.count() >= 3, "lost");
    finish(scene, mailbox);
    Ok(())
}

fn receive_nothing(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    let mail = scene.act(|| match mailbox.try_recv() {
        Ok(Signal::Message(message)) => Ok(copy(&message)),
        Ok(_) => panic!("a down that nobody expected"),
        Err(error) => Err(error),
    });
    match mail {
        Ok(mail) => scene.world.ledger.received(scene.me, &mail),
        Err(error) => assert_eq!(error, TryRecvError::Empty),
    }
    finish(scene, mailbox);
    Ok(())
}

fn receive_dead(scene: &Scene) -> Played {
    let mut process = scene.process(1)?;
    scene.room(scene.table().send(process.to, b"dies with the queue", &[process.to]))?;
    process.group.kill();
    let mailbox = process.open_mut();
    let received = scene.act(|| mailbox.try_recv().map(drop));
    assert_eq!(received, Err(TryRecvError::Dead));
    scene.done(process);
    Ok(())
}

/// A mail to oneself that brings a capability which is not in the table, and one
/// that is.
fn send_capabilities(scene: &Scene) -> Played {
    let own = &scene.party().capability;
    let fresh = own.demote(Permissions::SEND | Permissions::KILL).expect("a subset");
    let mail = scene.world.mail(scene.me, scene.me);
    scene.room(own.send(&mail, &[&fresh, own]))?;
    scene.sent(scene.me, Ok(()));
    Ok(())
}

fn receive_attached(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    send_capabilities(scene)?;
    let entries = scene.table().len();
    let (mail, handles, len) = scene.act(|| {
        receive_own(&mut mailbox, |signal| match signal {
            Signal::Message(message) => {
                let handles = [message.handles()[0], message.handles()[1]];
                (copy(&message), handles, message.mailbox().len())
            }
            _ => panic!("a down that nobody expected"),
        })
    });
    scene.world.ledger.received(scene.me, &mail);
    assert_eq!(handles[1], scene.party().to, "equal capabilities are equal handles");
    assert!(len <= mailbox.capacity());
    if scene.is_exact() {
        assert_eq!(scene.table().len(), entries, "what was not taken is released");
        assert!(!scene.table().contains(handles[0]));
    }
    finish(scene, mailbox);
    Ok(())
}

fn take_handles(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    send_capabilities(scene)?;
    let table = scene.table();
    let (mail, taken, released) = scene.act(|| {
        receive_own(&mut mailbox, |signal| match signal {
            Signal::Message(mut message) => {
                let taken = {
                    let mut taken = message.take_handles();
                    [taken.next(), taken.next(), taken.next()]
                };
                let mail = copy(&message);
                drop(message);
                (mail, taken, taken.map(|handle| handle.map(|handle| table.release(handle))))
            }
            _ => panic!("a down that nobody expected"),
        })
    });
    scene.world.ledger.received(scene.me, &mail);
    assert_eq!(taken[1], Some(scene.party().to));
    assert_eq!(released, [Some(Ok(())), Some(Ok(())), None]);
    assert!(table.contains(scene.party().to));
    finish(scene, mailbox);
    Ok(())
}

fn into_payload(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    let mail: &'static [u8] = Vec::leak(scene.world.mail(scene.me, scene.me).to_vec());
    let to = scene.party().to;
    let sent = scene.table().send_payload(to, Payload::from(mail), &[to]);
    scene.room(sent.map_err(|rejected| rejected.error))?;
    scene.sent(scene.me, Ok(()));
    let payload = scene.act(|| {
        receive_own(&mut mailbox, |signal| match signal {
            Signal::Message(message) => message.into_payload(),
            _ => panic!("a down that nobody expected"),
        })
    });
    assert_eq!(payload.as_ptr(), mail.as_ptr(), "the very bytes");
    scene.world.ledger.received(scene.me, &payload);
    finish(scene, mailbox);
    Ok(())
}

fn into_owned(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    if GROWS {
        let mut data = [scene.me as u8; 200];
        data[..16].copy_from_slice(&scene.world.mail(scene.me, scene.me));
        let to = scene.party().to;
        scene.room(scene.table().send(to, &data, &[to, to]))?;
        scene.sent(scene.me, Ok(()));
    } else {
        let to = scene.party().to;
        send_to_self(scene, &[to, to])?;
    }
    let (mail, taken, rest) = scene.act(|| {
        let signal = receive_own(&mut mailbox, |signal| signal.into_owned());
        let OwnedSignal::Message(mut message) = signal else {
            panic!("a down that nobody expected")
        };
        let mail: [u8; 16] = message.data()[..16].try_into().expect("torn");
        let taken = message.take_handles().next();
        let rest = message.handles().len();
        drop(message.into_payload());
        (mail, taken, rest)
    });
    scene.world.ledger.received(scene.me, &mail);
    assert_eq!((taken, rest), (Some(scene.party().to), 1));
    scene.table().release(scene.party().to).expect("one was taken");
    assert!(scene.table().contains(scene.party().to));
    finish(scene, mailbox);
    Ok(())
}

fn receive_after_forgotten(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    send_capabilities(scene)?;
    let mail = receive_own(&mut mailbox, |signal| {
        let Signal::Message(message) = signal else { panic!("a down that nobody expected") };
        let mail = copy(&message);
        std::mem::forget(message);
        mail
    });
    scene.world.ledger.received(scene.me, &mail);
    let entries = scene.table().len();
    let mail = scene.act(|| match mailbox.try_recv() {
        Ok(Signal::Message(message)) => Some(copy(&message)),
        _ => None,
    });
    mail.iter().for_each(|mail| scene.world.ledger.received(scene.me, mail));
    finish(scene, mailbox);
    if scene.is_exact() {
        assert_eq!(scene.table().len(), entries - 1, "its handles are released");
    }
    Ok(())
}

/// A down in one's own mailbox, of a process that is dead already.
fn with_down(
    scene: &Scene,
    act: impl FnOnce(&mut Mailbox) -> (u64, DownReason, Handle),
    is_taken: bool,
) -> Played {
    let mut mailbox = scene.mailbox();
    let process = scene.process(1)?;
    let id = scene.room(scene.table().monitor(process.to, &mailbox))?;
    process.group.kill();
    let entries = scene.table().len();
    let (number, reason, handle) = scene.act(|| act(&mut mailbox));
    assert_eq!((number, reason), (id.number(), DownReason::Killed));
    if is_taken {
        assert_eq!(scene.table().same_route(handle, process.to), Ok(true));
        scene.table().release(handle).expect("it was taken");
    }
    if scene.is_exact() {
        assert_eq!(scene.table().len(), entries, "its handle is released");
    }
    assert!(!mailbox.demonitor(id), "a monitor ends once");
    finish(scene, mailbox);
    scene.done(process);
    Ok(())
}

fn receive_down(scene: &Scene) -> Played {
    let act = |mailbox: &mut Mailbox| {
        receive_own(mailbox, |signal| match signal {
            Signal::Down(down) => {
                assert!(down.mailbox().capacity() > 0);
                (down.monitor().number(), down.reason(), down.handle())
            }
            _ => panic!("the down was first"),
        })
    };
    with_down(scene, act, false)
}

fn take_handle(scene: &Scene) -> Played {
    let act = |mailbox: &mut Mailbox| {
        receive_own(mailbox, |signal| match signal {
            Signal::Down(down) => (down.monitor().number(), down.reason(), down.take_handle()),
            _ => panic!("the down was first"),
        })
    };
    with_down(scene, act, true)
}

fn down_into_owned(scene: &Scene) -> Played {
    let act = |mailbox: &mut Mailbox| {
        receive_own(mailbox, |signal| match signal.into_owned() {
            OwnedSignal::Down(down) => {
                let handle = down.handle();
                let (number, reason) = (down.monitor().number(), down.reason());
                assert_eq!(handle, down.take_handle());
                (number, reason, handle)
            }
            _ => panic!("the down was first"),
        })
    };
    with_down(scene, act, true)
}
