//! One verb for each operation.

#![allow(missing_docs, reason = "each is named after the operation that it makes")]

use arbitrary::Result;

use crate::decode::Bytes;
use crate::op::{Asking, Ending, Mixture, Op};

/// Operations while a guard lives: at most this many.
const MEANWHILE: u8 = 3;

pub fn create_group(_: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::CreateGroup)
}

pub fn create_table(_: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::CreateTable)
}

pub fn create_group_table(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::CreateGroupTable(bytes.pick()?))
}

pub fn create_mailbox(bytes: &mut Bytes<'_>) -> Result<Op> {
    let (group, table, at_home) = (bytes.pick()?, bytes.pick()?, !bytes.one_in(5));
    Ok(Op::CreateMailbox(group, table, at_home, bytes.mailbox_limits()?))
}

pub fn clone_group(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::CloneGroup(bytes.pick()?))
}

pub fn drop_group(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::DropGroup(bytes.pick()?))
}

pub fn clone_table(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::CloneTable(bytes.pick()?))
}

pub fn drop_table(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::DropTable(bytes.pick()?))
}

pub fn close_mailbox(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::CloseMailbox(bytes.pick()?, bytes.flag()?))
}

pub fn export(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Export(bytes.pick()?, bytes.permissions()?))
}

pub fn capability(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Capability(bytes.pick()?, bytes.permissions()?))
}

pub fn copy(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Copy(bytes.pick()?, bytes.alleged()?))
}

pub fn demote_capability(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::DemoteCapability(bytes.pick()?, bytes.permissions()?))
}

pub fn drop_capability(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::DropCapability(bytes.pick()?))
}

pub fn insert(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Insert(bytes.pick()?, bytes.pick()?))
}

pub fn same_route(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::SameRoute(bytes.pick()?, bytes.alleged()?, bytes.alleged()?))
}

pub fn demote(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Demote(bytes.pick()?, bytes.alleged()?, bytes.permissions()?))
}

pub fn retain(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Retain(bytes.pick()?, bytes.alleged()?))
}

pub fn release(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Release(bytes.pick()?, bytes.alleged()?))
}

pub fn send(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Send(bytes.letter()?))
}

pub fn poll_send(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::PollSend(bytes.pick()?, bytes.letter()?))
}

pub fn poll_send_again(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::PollSendAgain(bytes.pick()?))
}

pub fn drop_wait(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::DropWait(bytes.pick()?))
}

pub fn poll_ready(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::PollReady(bytes.pick()?))
}

pub fn receive(bytes: &mut Bytes<'_>) -> Result<Op> {
    let mailbox = bytes.pick()?;
    let asking = *bytes.raw().choose(&[Asking::Try, Asking::Poll, Asking::Future])?;
    let count = if bytes.one_in(4) { bytes.raw().int_in_range(1..=MEANWHILE)? } else { 0 };
    let meanwhile =
        (0..count).map(|_| bytes.op(crate::targets::MEANWHILE)).collect::<Result<_>>()?;
    let ending = match bytes.raw().int_in_range(0..=7_u8)? {
        0 | 1 => Ending::Drop,
        2 | 3 => Ending::Take(bytes.raw().int_in_range(0..=8)?),
        4 => Ending::IntoPayload,
        5 => Ending::Forget,
        6 => Ending::Unwind,
        _ => Ending::Own(bytes.raw().int_in_range(0..=3)?),
    };
    Ok(Op::Receive(mailbox, asking, meanwhile, ending))
}

pub fn take_owned(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::TakeOwned(bytes.pick()?, bytes.raw().int_in_range(0..=3)?))
}

pub fn drop_owned(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::DropOwned(bytes.pick()?))
}

pub fn kill(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Kill(bytes.via()?))
}

pub fn kill_group(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::KillGroup(bytes.pick()?))
}

pub fn monitor(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Monitor(bytes.via()?, bytes.pick()?))
}

pub fn demonitor(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Demonitor(bytes.pick()?, bytes.pick()?))
}

pub fn link(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Link(bytes.via()?, bytes.pick()?))
}

pub fn link_groups(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::LinkGroups(bytes.pick()?, bytes.pick()?))
}

pub fn unlink(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Unlink(bytes.via()?, bytes.pick()?))
}

pub fn unlink_groups(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::UnlinkGroups(bytes.pick()?, bytes.pick()?))
}

pub fn mix(bytes: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Mix(match bytes.raw().int_in_range(0..=5_u8)? {
        0 => Mixture::Mailbox(bytes.pick()?),
        1 => Mixture::Insert(bytes.pick()?),
        2 => Mixture::Links(bytes.pick()?),
        3 => Mixture::Monitor(bytes.via()?),
        4 => Mixture::LinkVia(bytes.via()?),
        _ => Mixture::Attach(bytes.via()?),
    }))
}

pub fn reclaim(_: &mut Bytes<'_>) -> Result<Op> {
    Ok(Op::Reclaim)
}
