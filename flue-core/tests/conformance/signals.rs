//! Sends, receives, and what may happen while a guard lives; and objects of two offices.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::panic;
use std::sync::Arc;

use flue_core::{
    Handle, Mailbox, OwnedSignal, Payload, RecvError, SendError, Signal, TableError, TryRecvError,
};
use flue_spec::{self as spec, Outgoing};

use crate::op::{Asking, Ending, Letter, Mixture, Op, Passing};
use crate::pair::{Addressed, Lent, Pair, Route};
use crate::translate::Translate;

/// The bytes of all messages. Every one starts elsewhere, so that none passes for another.
static BYTES: [u8; 2048] = {
    let mut bytes = [0; 2048];
    let mut index = 0;
    while index < bytes.len() {
        bytes[index] = (index % 251) as u8;
        index += 1;
    }
    bytes
};

impl Addressed {
    /// Whether the test still has the table that it is sent from.
    pub fn is_usable(&self, tables: &[spec::Table]) -> bool {
        match self.to {
            Route::Table(table, ..) => tables.contains(&table),
            Route::Host(..) => true,
        }
    }

    pub fn describe(&self) -> String {
        let attach: Vec<String> = self.attach.iter().map(Route::describe).collect();
        let Self { to, data, passing, .. } = self;
        format!("{} bytes by {passing:?} to {} with {attach:?}", data.len(), to.describe())
    }

    fn handles(&self) -> Vec<Handle> {
        let routes = self.attach.iter();
        routes
            .filter_map(
                |route| if let Route::Table(_, handle, _) = route { Some(*handle) } else { None },
            )
            .collect()
    }

    fn capabilities(&self) -> Vec<&flue_core::Capability> {
        let routes = self.attach.iter();
        routes
            .filter_map(|route| if let Route::Host(real, _) = route { Some(real) } else { None })
            .collect()
    }
}

impl Pair {
    /// Finds out what a letter's picks are.
    pub fn address(&mut self, letter: &Letter, lent: Lent<'_>) -> Option<Addressed> {
        let to = self.route(letter.to, lent)?;
        let attach = letter.attach.iter().filter_map(|&(alleged, capability)| match to {
            Route::Table(table, ..) => {
                let (handle, model) = self.allege(table, alleged);
                Some(Route::Table(table, handle, model))
            }
            Route::Host(..) => {
                let (model, real) = self.host_capability(capability)?;
                Some(Route::Host(real, model))
            }
        });
        let attach = attach.collect();
        self.sent += 1;
        let data = &BYTES[self.sent % 1000..][..letter.length];
        Some(Addressed { to, attach, data, passing: letter.passing })
    }

    /// The same message for the specification.
    pub fn outgoing(&self, message: &Addressed) -> Outgoing {
        Outgoing {
            to: self.permit(&message.to),
            attach: message.attach.iter().map(|route| self.permit(route)).collect(),
            data: message.data.to_vec(),
            owned: !matches!(message.passing, Passing::Reference),
        }
    }

    /// The bytes of a message, if they are passed as a payload.
    fn payload(&mut self, message: &Addressed) -> Option<Payload> {
        let data = message.data;
        Some(match message.passing {
            Passing::Reference => return None,
            Passing::Vec => Payload::from(data.to_vec()),
            Passing::Box => Payload::from(Box::<[u8]>::from(data)),
            Passing::Static => Payload::from(data),
            Passing::Arc => {
                let shared = Arc::<[u8]>::from(data);
                self.payloads.push(Arc::downgrade(&shared));
                Payload::from(shared)
            }
        })
    }

    /// Sends. A payload that is not accepted comes back whole.
    pub fn send(&mut self, message: &Addressed, lent: Lent<'_>) {
        let payload = self.payload(message);
        let (data, handles) = (message.data, message.handles());
        let capabilities = message.capabilities();
        let real = match (&message.to, payload) {
            (Route::Table(table, to, _), None) => {
                self.table(*table, lent).send(*to, data, &handles)
            }
            (Route::Host(to, _), None) => to.send(data, &capabilities),
            (to, Some(payload)) => {
                let result = match to {
                    Route::Table(table, to, _) => {
                        self.table(*table, lent).send_payload(*to, payload, &handles)
                    }
                    Route::Host(to, _) => to.send_payload(payload, &capabilities),
                };
                result.map_err(|rejected| {
                    assert_eq!(&rejected.payload[..], data, "the payload that came back");
                    rejected.error
                })
            }
        };
        let spec = self.spec.send(&self.outgoing(message));
        self.agree(format!("send {}", message.describe()), real.translate(), spec);
        // That the sender is dead may be seen last, when it had been given room, which
        // is given back with a wake. Nobody who waits is kept busy: the dead don't.
        self.check_wakes(spec.is_err_and(|error| error != spec::SendError::Dead));
    }

    pub fn poll_send(&mut self, index: usize, message: Addressed, lent: Lent<'_>) {
        let mut payload = self.payload(&message);
        let is_payload = payload.is_some();
        let waker = Waker::from(self.waiters[index].waker.clone());
        let cx = &mut Context::from_waker(&waker);
        let mut wait = core::mem::take(&mut self.waiters[index].real);
        let (data, handles) = (message.data, message.handles());
        let capabilities = message.capabilities();
        let real = match &message.to {
            Route::Table(table, to, _) => {
                let table = self.table(*table, lent);
                if is_payload {
                    table.poll_send_payload(cx, &mut wait, *to, &mut payload, &handles)
                } else {
                    table.poll_send(cx, &mut wait, *to, data, &handles)
                }
            }
            Route::Host(to, _) if is_payload => {
                to.poll_send_payload(cx, &mut wait, &mut payload, &capabilities)
            }
            Route::Host(to, _) => to.poll_send(cx, &mut wait, data, &capabilities),
        };
        let is_sent = matches!(real, Poll::Ready(Ok(())));
        let kept = payload.as_deref().map(<[u8]>::to_vec);
        assert_eq!(kept, (is_payload && !is_sent).then(|| data.to_vec()), "the payload");
        let id = self.waiters[index].id;
        let spec = self.spec.poll_send(id, &self.outgoing(&message));
        let what = format!("wait {id}: poll_send {}", message.describe());
        self.waiters[index].real = wait;
        self.waiters[index].waits_for = spec.is_pending().then_some(message);
        self.agree(what, real.map(Translate::translate), spec);
        self.check_wakes(spec.is_pending());
    }

    /// Receives on both sides, does what is to be done `meanwhile`, and ends the guard.
    pub fn receive(
        &mut self,
        mailbox: spec::Mailbox,
        real: &mut Mailbox,
        asking: Asking,
        meanwhile: &[Op],
        ending: Ending,
    ) {
        let waker = Waker::from(self.places[&mailbox].waker.clone());
        let mut context = Context::from_waker(&waker);
        let dead = |RecvError| TryRecvError::Dead;
        let received = match asking {
            Asking::Try => Poll::Ready(real.try_recv()),
            Asking::Poll => real.poll_recv(&mut context).map_err(dead),
            Asking::Future => pin!(real.recv_async()).poll(&mut context).map_err(dead),
        };
        let what = format!("mailbox {mailbox}: receive by {asking:?}");
        if let Poll::Ready(Ok(Signal::Down(down))) = &received {
            let number = down.monitor().number();
            assert!(self.spec.prefer_down(mailbox, number), "{what}: down {number} (rule K8)");
        }
        let is_pending =
            !matches!(asking, Asking::Try) && self.spec.poll_ready(mailbox).is_pending();
        let spec =
            if is_pending { Poll::Pending } else { Poll::Ready(self.spec.try_recv(mailbox)) };
        self.log.push(format!("{what} -> {spec:?}"));
        self.check_wakes(false);
        let (signal, guard) = match (received, spec) {
            (Poll::Ready(Ok(signal)), Poll::Ready(Ok(guard))) => (signal, guard),
            (real, spec) => {
                let real = real.map(|result| result.map(|_| ()).translate());
                let spec = spec.map(|result| result.map(|_| ()));
                assert_eq!(real, spec, "flue-core (left), specification (right): {what}");
                return;
            }
        };
        self.check_signal(guard, &signal);
        for op in meanwhile {
            let borrowed = match &signal {
                Signal::Message(message) => message.mailbox(),
                Signal::Down(down) => down.mailbox(),
                other => panic!("{other:?} is new"),
            };
            self.run(op, Some((mailbox, borrowed)));
            self.check(Some((mailbox, borrowed)));
        }
        self.check_signal(guard, &signal);
        self.end(guard, signal, ending);
    }

    /// A guard holds what the specification says.
    fn check_signal(&mut self, guard: spec::Guard, signal: &Signal<'_>) {
        let spec::Received { mailbox, signal: spec, handles } = self.spec.received(guard).clone();
        let (real, real_handles) = match signal {
            Signal::Message(message) => {
                (spec::Signal::Message(message.data().to_vec()), message.handles().to_vec())
            }
            Signal::Down(down) => {
                let reason = down.reason().translate();
                (spec::Signal::Down(down.monitor().number(), reason), vec![down.handle()])
            }
            other => panic!("{other:?} is new"),
        };
        assert_eq!(real, spec, "guard {guard}");
        self.bind_all(self.places[&mailbox].table, &handles, &real_handles);
    }

    fn bind_all(&mut self, table: spec::Table, handles: &[spec::Handle], real: &[Handle]) {
        assert_eq!(real.len(), handles.len(), "handles");
        for (&handle, &real) in handles.iter().zip(real) {
            self.bind(table, handle, real);
        }
    }

    /// These handles of a guard were taken.
    pub fn taken(&mut self, guard: spec::Guard, real: &[Handle]) {
        let table = self.places[&self.spec.received(guard).mailbox].table;
        let taken = real.iter().map_while(|_| self.spec.take_handle(guard)).collect::<Vec<_>>();
        self.log.push(format!("guard {guard}: takes {taken:?}"));
        self.bind_all(table, &taken, real);
    }

    /// Ends a guard in one of the ways there are.
    fn end(&mut self, guard: spec::Guard, signal: Signal<'_>, ending: Ending) {
        self.log.push(format!("guard {guard}: {ending:?}"));
        match (ending, signal) {
            (Ending::Take(at_most), Signal::Message(mut message)) => {
                let taken: Vec<Handle> = message.take_handles().take(at_most).collect();
                self.taken(guard, &taken);
            }
            (Ending::Take(_), Signal::Down(down)) => self.taken(guard, &[down.take_handle()]),
            (Ending::IntoPayload, Signal::Message(message)) => {
                let data = message.data().to_vec();
                assert_eq!(&message.into_payload()[..], data);
            }
            (Ending::Forget, signal) => {
                core::mem::forget(signal);
                self.spec.forget_guard(guard);
                return;
            }
            (Ending::Unwind, signal) => {
                let unwind = || {
                    let _dropped = signal;
                    panic::resume_unwind(Box::new("on purpose"));
                };
                assert!(panic::catch_unwind(AssertUnwindSafe(unwind)).is_err());
            }
            (Ending::Own(at_most), mut signal) => {
                if let Signal::Message(message) = &mut signal {
                    let taken: Vec<Handle> = message.take_handles().take(at_most).collect();
                    self.taken(guard, &taken);
                }
                self.guards.push((guard, signal.into_owned()));
                return;
            }
            (_, signal) => drop(signal),
        }
        self.spec.drop_guard(guard);
    }

    /// An owned guard gives away some of its handles, or its down's.
    pub fn take_owned(&mut self, index: usize, at_most: usize) {
        let (guard, real) = self.guards.swap_remove(index);
        match real {
            OwnedSignal::Message(mut message) => {
                let taken: Vec<Handle> = message.take_handles().take(at_most).collect();
                self.taken(guard, &taken);
                assert_eq!(message.handles().len(), self.spec.received(guard).handles.len());
                self.guards.push((guard, OwnedSignal::Message(message)));
            }
            OwnedSignal::Down(down) => {
                self.taken(guard, &[down.take_handle()]);
                self.spec.drop_guard(guard);
            }
            other => panic!("{other:?} is new"),
        }
    }

    /// Objects of two offices together: refused before all else, and nothing has happened.
    pub fn mix(&mut self, mixture: Mixture, lent: Lent<'_>) {
        self.log.push(format!("{mixture:?}"));
        let foreign = &self.foreign;
        let mismatch = TableError::PostOfficeMismatch;
        match mixture {
            Mixture::Mailbox(group) => {
                let Some(group) = group.of(&self.known_groups(lent)) else { return };
                let real = self.group(group, lent).create_mailbox(&foreign.table);
                assert_eq!(real.err(), Some(flue_core::CreateError::PostOfficeMismatch));
            }
            Mixture::Insert(table) => {
                let Some(table) = table.of(&self.known_tables(lent)) else { return };
                let real = self.table(table, lent).insert(&foreign.capability);
                assert_eq!(real, Err(mismatch));
            }
            Mixture::Links(group) => {
                let Some(group) = group.of(&self.known_groups(lent)) else { return };
                let group = self.group(group, lent);
                assert_eq!(group.link(&foreign.group), Err(mismatch));
                assert_eq!(group.unlink(&foreign.group), Err(mismatch));
            }
            Mixture::Monitor(via) => match self.route(via, lent) {
                Some(Route::Table(table, handle, _)) => {
                    let real = self.table(table, lent).monitor(handle, &foreign.mailbox);
                    assert_eq!(real, Err(mismatch));
                }
                Some(Route::Host(capability, _)) => {
                    assert_eq!(capability.monitor(&foreign.mailbox), Err(mismatch));
                }
                None => {}
            },
            Mixture::LinkVia(via) => match self.route(via, lent) {
                Some(Route::Table(table, handle, _)) => {
                    let table = self.table(table, lent);
                    assert_eq!(table.link(handle, &foreign.group), Err(mismatch));
                    assert_eq!(table.unlink(handle, &foreign.group), Err(mismatch));
                }
                Some(Route::Host(capability, _)) => {
                    assert_eq!(capability.link(&foreign.group), Err(mismatch));
                    assert_eq!(capability.unlink(&foreign.group), Err(mismatch));
                }
                None => {}
            },
            Mixture::Attach(via) => {
                let Some(Route::Host(capability, _)) = self.route(via, lent) else { return };
                let real = capability.send(b"", &[&foreign.capability]);
                assert_eq!(real, Err(SendError::PostOfficeMismatch));
                let real = foreign.capability.send(b"", &[&capability]);
                assert_eq!(real, Err(SendError::PostOfficeMismatch));
                assert!(!capability.same_route(&foreign.capability));
            }
        }
    }
}
