//! The same operation among a thousand routes and among very many: nothing but cache misses may grow.
//! The operations go round a thousand routes that lie evenly among all there are.

use super::{death, read_16, warm_turns};
use crate::measure::{Effort, FLUE, Row, Window};
use crate::{ours, theirs};
use flue_core::{Handle, Mailbox, Permissions, PostOffice};
use std::cell::{OnceCell, RefCell};
use std::hint::black_box;
use std::rc::Rc;

const FEW: usize = 1_000;
/// How reports call Flue among a thousand routes.
const FEW_NAME: &str = "Flue, 1,000 routes";

/// A process that knows all the mailboxes of another one.
struct Crowd {
    knowing: ours::Process,
    known: ours::Process,
    mailboxes: Vec<Mailbox>,
    handles: Vec<Handle>,
    turn: usize,
}

impl Crowd {
    fn new(routes: usize) -> Self {
        let office = PostOffice::new();
        let (knowing, known) = (ours::Process::new(&office), ours::Process::new(&office));
        let mailboxes = known.crowd(routes);
        let handles =
            mailboxes.iter().map(|mailbox| knowing.granted(mailbox, Permissions::all())).collect();
        Self { knowing, known, mailboxes, handles, turn: 0 }
    }

    /// The next of the thousand that are used.
    fn next(&mut self) -> (&ours::Process, &mut Mailbox, Handle) {
        self.turn = (self.turn + 1) % FEW;
        let index = self.turn * (self.mailboxes.len() / FEW);
        (&self.knowing, &mut self.mailboxes[index], self.handles[index])
    }
}

type Operation = fn(&mut Crowd);

const OK: &str = "permitted and within the limits";

const OPERATIONS: &[(&str, Operation)] = &[
    ("send", |crowd| {
        let (knowing, mailbox, to) = crowd.next();
        knowing.table.send(to, &black_box([7; 16]), &[]).expect(OK);
        assert!(ours::receive(mailbox, read_16));
    }),
    ("permissions", |crowd| {
        let (knowing, _, handle) = crowd.next();
        black_box(knowing.table.permissions(handle).expect(OK));
    }),
    ("demote + release", |crowd| {
        let (knowing, _, handle) = crowd.next();
        let less = knowing.table.demote(handle, Permissions::SEND).expect(OK);
        knowing.table.release(less).expect(OK);
    }),
    ("export + release", |crowd| {
        let (_, mailbox, _) = crowd.next();
        let handle = mailbox.export(Permissions::SEND).expect(OK);
        mailbox.table().release(handle).expect(OK);
    }),
    ("monitor + demonitor", |crowd| {
        let (knowing, _, handle) = crowd.next();
        let id = knowing.table.monitor(handle, &knowing.mailbox).expect(OK);
        assert!(crowd.knowing.mailbox.demonitor(id));
    }),
    ("link + unlink", |crowd| {
        let (knowing, _, handle) = crowd.next();
        knowing.table.link(handle, &knowing.group).expect(OK);
        assert!(knowing.table.unlink(handle, &knowing.group).expect(OK));
    }),
    ("create + drop a mailbox", |crowd| {
        black_box(crowd.known.open());
    }),
];

/// A crowd that several rows share, made when the first of them runs.
type SharedCrowd = Rc<OnceCell<RefCell<Crowd>>>;

/// The family's rows.
pub fn rows(effort: &Effort) -> Vec<Row> {
    let most = effort.crowd;
    let (few, many) = (SharedCrowd::default(), SharedCrowd::default());
    let mut rows: Vec<_> = OPERATIONS
        .iter()
        .map(|&(name, operation)| {
            let (few, many) = (few.clone(), many.clone());
            let row = Row::timed(format!("growth/{name}"))
                .turns(FLUE, move || among(many, most, operation))
                .turns(FEW_NAME, move || among(few, FEW, operation));
            let row = if name == "send" {
                row.turns(theirs::NAME, move || flue_peer_send(most))
                    .turns("flue 0.2.2, 1,000 routes", || flue_peer_send(FEW))
            } else {
                row
            };
            row.target(FEW_NAME, 2.0, 1.5)
        })
        .collect();
    rows.push(
        Row::timed("growth/kill, per route")
            .figure(FLUE, move || death::flue_kill(most) / most as f64)
            .figure(FEW_NAME, || death::flue_kill(FEW) / FEW as f64)
            .target(FEW_NAME, 2.0, 1.5),
    );
    rows
}

fn among(crowd: SharedCrowd, routes: usize, operation: Operation) -> Window {
    Box::new(move |turns| {
        let crowd = crowd.get_or_init(|| RefCell::new(Crowd::new(routes)));
        let crowd = &mut *crowd.borrow_mut();
        (0..FEW).for_each(|_| operation(crowd));
        warm_turns(turns, || operation(crowd))
    })
}

fn flue_peer_send(routes: usize) -> Window {
    let office = flue_peer::PostOffice::new();
    let (knowing, known) = (theirs::Process::new(&office), theirs::Process::new(&office));
    let mailboxes: Vec<_> =
        (0..routes).map(|_| known.group.create_mailbox().expect("the group is alive")).collect();
    let granted = |mailbox| knowing.granted(mailbox, flue_peer::Permissions::SEND);
    let handles: Vec<_> = mailboxes.iter().map(granted).collect();
    let mut turn = 0;
    Box::new(move |turns| {
        let mut send = || {
            turn = (turn + 1) % FEW;
            let index = turn * (routes / FEW);
            knowing.send(handles[index], &black_box([7; 16]), &[]);
            assert!(theirs::receive(known.table, &mailboxes[index], read_16));
        };
        (0..FEW).for_each(|_| send());
        warm_turns(turns, send)
    })
}
