//! Every operation that a process may do, and those of its host, as a function
//! that can be linked by itself.
//!
//! The panic handler calls what nobody defines. So if an operation can be linked
//! alone, with all that it does not reach left out, then it reaches no panic:
//! `ci/no-panic.sh` links them one by one. `control_panics` must not link.
#![no_std]

use core::panic::PanicInfo;
use core::task::{Context, Poll};
use flue_core::{
    Capability, CreateError, DownReason, Handle, Mailbox, MailboxLimits, MonitorId, Payload,
    Permissions, PostOffice, RecvError, RejectedPayload, RouteGroup, SendError, SendWait, Signal,
    StaticPostOffice, Stats, Table, TableError, TryRecvError,
};

unsafe extern "C" {
    safe fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    a_panic_is_reachable()
}

/// Declares the operations: each a function of its own name that only calls it.
macro_rules! operations {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? $body:block)*) => {$(
        // SAFETY: no other symbol of the program has this name.
        #[unsafe(no_mangle)]
        pub fn $name($($argument: $type),*) $(-> $result)? $body
    )*};
}

// What a process does, with its table and its mailboxes.
operations! {
    fn send(table: &Table, to: Handle, data: &[u8]) -> Result<(), SendError> {
        table.send(to, data, &[])
    }
    fn send_attached(
        table: &Table,
        to: Handle,
        data: &[u8],
        attach: &[Handle]
    ) -> Result<(), SendError> {
        table.send(to, data, attach)
    }
    fn send_payload(
        table: &Table,
        to: Handle,
        data: &'static [u8],
        attach: &[Handle]
    ) -> Result<(), RejectedPayload> {
        table.send_payload(to, Payload::from(data), attach)
    }
    fn poll_send(
        table: &Table,
        cx: &mut Context<'_>,
        wait: &mut SendWait,
        to: Handle,
        data: &[u8],
        attach: &[Handle]
    ) -> Poll<Result<(), SendError>> {
        table.poll_send(cx, wait, to, data, attach)
    }
    fn poll_send_payload(
        table: &Table,
        cx: &mut Context<'_>,
        wait: &mut SendWait,
        to: Handle,
        payload: &mut Option<Payload>,
        attach: &[Handle]
    ) -> Poll<Result<(), SendError>> {
        table.poll_send_payload(cx, wait, to, payload, attach)
    }
    fn stop_waiting(wait: SendWait) {
        drop(wait);
    }
    fn receive(mailbox: &mut Mailbox, into: &mut [u8]) -> Result<usize, TryRecvError> {
        match mailbox.try_recv()? {
            Signal::Message(message) => {
                let length = message.data().iter().zip(into).map(|(from, to)| *to = *from).count();
                Ok(length)
            }
            _ => Ok(0),
        }
    }
    fn receive_down(mailbox: &mut Mailbox) -> Option<(MonitorId, DownReason, Handle)> {
        match mailbox.try_recv() {
            Ok(Signal::Down(down)) => Some((down.monitor(), down.reason(), down.take_handle())),
            _ => None,
        }
    }
    fn receive_and_take(mailbox: &mut Mailbox, into: &mut [Option<Handle>]) {
        if let Ok(Signal::Message(mut message)) = mailbox.try_recv() {
            into.iter_mut().zip(message.take_handles()).for_each(|(to, from)| *to = Some(from));
        }
    }
    fn receive_payload(mailbox: &mut Mailbox) -> Option<Payload> {
        match mailbox.try_recv() {
            Ok(Signal::Message(message)) => Some(message.into_payload()),
            _ => None,
        }
    }
    fn receive_owned(mailbox: &mut Mailbox) {
        if let Ok(signal) = mailbox.try_recv() {
            drop(signal.into_owned());
        }
    }
    fn poll_ready(mailbox: &mut Mailbox, cx: &mut Context<'_>) -> Poll<()> {
        mailbox.poll_ready(cx)
    }
    fn poll_recv(mailbox: &mut Mailbox, cx: &mut Context<'_>) -> Poll<Result<usize, RecvError>> {
        mailbox.poll_recv(cx).map(|received| {
            received.map(|signal| match signal {
                Signal::Message(message) => message.data().len(),
                _ => 0,
            })
        })
    }
    fn is_ready(mailbox: &Mailbox) -> bool {
        mailbox.is_ready() && mailbox.len() <= mailbox.capacity()
    }
    fn export(mailbox: &Mailbox, permissions: Permissions) -> Result<Handle, TableError> {
        mailbox.export(permissions)
    }
    fn demonitor(mailbox: &mut Mailbox, id: MonitorId) -> bool {
        mailbox.demonitor(id)
    }
    fn close(mailbox: Mailbox) {
        mailbox.close();
    }
    fn look_up(table: &Table, a: Handle, b: Handle) -> Result<Permissions, TableError> {
        table.same_route(a, b)?;
        if table.contains(a) { table.permissions(b) } else { Err(TableError::InvalidHandle) }
    }
    fn retain(table: &Table, handle: Handle) -> Result<(), TableError> {
        table.retain(handle)
    }
    fn release(table: &Table, handle: Handle) -> Result<(), TableError> {
        table.release(handle)
    }
    fn demote(
        table: &Table,
        handle: Handle,
        permissions: Permissions
    ) -> Result<Handle, TableError> {
        table.demote(handle, permissions)
    }
    fn kill(table: &Table, handle: Handle) -> Result<(), TableError> {
        table.kill(handle)
    }
    fn monitor(table: &Table, handle: Handle, by: &Mailbox) -> Result<MonitorId, TableError> {
        table.monitor(handle, by)
    }
    fn link(table: &Table, handle: Handle, group: &RouteGroup) -> Result<(), TableError> {
        table.link(handle, group)
    }
    fn unlink(table: &Table, handle: Handle, group: &RouteGroup) -> Result<bool, TableError> {
        table.unlink(handle, group)
    }
    fn table_size(table: &Table) -> usize {
        table.handles().count() + table.len() + table.capacity()
    }
}

// What its host does besides.
operations! {
    fn host_send(
        capability: &Capability,
        data: &[u8],
        attach: &[&Capability]
    ) -> Result<(), SendError> {
        capability.send(data, attach)
    }
    fn host_kill(capability: &Capability) -> Result<(), TableError> {
        capability.kill()
    }
    fn host_monitor(capability: &Capability, by: &Mailbox) -> Result<MonitorId, TableError> {
        capability.monitor(by)
    }
    fn host_link(capability: &Capability, group: &RouteGroup) -> Result<bool, TableError> {
        capability.link(group)?;
        capability.unlink(group)
    }
    fn group_kill(group: &RouteGroup) -> bool {
        group.kill();
        group.is_dead()
    }
    fn group_link(a: &RouteGroup, b: &RouteGroup) -> Result<bool, TableError> {
        a.link(b)?;
        a.unlink(b)
    }
    fn insert(table: &Table, capability: &Capability) -> Result<Handle, TableError> {
        table.insert(capability)
    }
    fn capability(table: &Table, handle: Handle) -> Result<Capability, TableError> {
        table.capability(handle)
    }
    fn create_group(office: &PostOffice) -> Result<RouteGroup, CreateError> {
        office.create_group()
    }
    fn create_table(group: &RouteGroup) -> Result<Table, CreateError> {
        group.create_table()
    }
    fn create_mailbox(
        group: &RouteGroup,
        table: &Table,
        limits: MailboxLimits
    ) -> Result<Mailbox, CreateError> {
        group.create_mailbox_with(table, limits)
    }
    fn drop_all(office: PostOffice, group: RouteGroup, table: Table, capability: Capability) {
        drop((office, group, table, capability));
    }
    fn stats(office: &PostOffice) -> Stats {
        office.reclaim();
        office.stats()
    }
    fn static_office(storage: &'static StaticPostOffice<4, 8, 16>) -> PostOffice {
        storage.office()
    }
}

// What must not link: else nothing is shown by what does.
operations! {
    fn control_panics(table: &Table, handle: Handle) -> Permissions {
        table.permissions(handle).unwrap()
    }
}
