//! One operation, done to both.

use core::task::Context;
use core::task::Waker;
use std::collections::BTreeMap;
use std::sync::Arc;

use flue_core::{MonitorId, Permissions, SendWait};
use flue_spec as spec;

use crate::op::{Op, Pick};
use crate::pair::{Lent, Pair, Place, Route, name};
use crate::translate::{Translate, mailbox_limits};

impl Pair {
    /// Does `op` to both, if there are objects to do it to, and compares what they answer.
    pub fn run(&mut self, op: &Op, lent: Lent<'_>) {
        match *op {
            Op::CreateGroup => {
                let (real, spec) = (self.office.create_group(), self.spec.create_group());
                if let Some((real, spec)) = self.both("create_group".into(), real, spec) {
                    self.groups.insert(spec, vec![real]);
                }
            }
            Op::CreateTable => {
                let (real, spec) = (self.office.create_table(), self.spec.create_table());
                if let Some((real, spec)) = self.both("create_table".into(), real, spec) {
                    self.new_table(None, spec, real);
                }
            }
            Op::CreateGroupTable(group) => {
                let Some(group) = self.some_group(group, lent) else { return };
                let real = self.group(group, lent).create_table();
                let spec = self.spec.create_group_table(group);
                let what = format!("group {group}: create_table");
                if let Some((real, spec)) = self.both(what, real, spec) {
                    self.new_table(Some(group), spec, real);
                }
            }
            Op::CreateMailbox(group, table, at_home, limits) => {
                let Some(group) = self.some_group(group, lent) else { return };
                let is_home = |t: &spec::Table| self.homes[t].is_none_or(|home| home == group);
                let mut tables = self.known_tables(lent);
                tables.retain(|table| !at_home || is_home(table));
                let unsealed = |table| !self.spec.is_sealed(table);
                let Some(table) = table.of_good(&tables, unsealed) else { return };
                let (real_group, real_table) = (self.group(group, lent), self.table(table, lent));
                let real = real_group.create_mailbox_with(real_table, mailbox_limits(limits));
                let spec = self.spec.create_mailbox(group, table, limits);
                let what = format!("group {group}: create_mailbox_with(table {table}, {limits:?})");
                if let Some((real, spec)) = self.both(what, real, spec) {
                    let (waker, monitors) = (Arc::default(), BTreeMap::new());
                    let place = Place { group, table, waker, monitors, real: Some(real) };
                    self.places.insert(spec, place);
                }
            }
            Op::CloneGroup(group) => {
                let Some(group) = self.some_group(group, lent) else { return };
                let clone = self.group(group, lent).clone();
                self.groups.entry(group).or_default().push(clone);
                self.spec.clone_group(group);
                self.log.push(format!("group {group}: clone"));
            }
            Op::DropGroup(group) => {
                let held: Vec<_> = self.groups.keys().copied().collect();
                let dead = |group| self.spec.is_dead(group);
                let Some(group) = group.of_good(&held, dead) else { return };
                let values = self.groups.get_mut(&group).unwrap();
                drop(values.pop());
                if values.is_empty() {
                    self.groups.remove(&group);
                    self.spec.drop_group(group);
                }
                self.log.push(format!("group {group}: drop"));
            }
            Op::CloneTable(table) => {
                let Some(table) = self.some_table(table, lent) else { return };
                let clone = self.table(table, lent).clone();
                self.tables.entry(table).or_default().push(clone);
                self.spec.clone_table(table);
                self.log.push(format!("table {table}: clone"));
            }
            Op::DropTable(table) => {
                let held: Vec<_> = self.tables.keys().copied().collect();
                let sealed = |table| self.spec.is_sealed(table);
                let Some(table) = table.of_good(&held, sealed) else { return };
                let values = self.tables.get_mut(&table).unwrap();
                drop(values.pop());
                if values.is_empty() {
                    self.tables.remove(&table);
                    self.spec.drop_table(table);
                }
                self.log.push(format!("table {table}: drop"));
            }
            Op::CloseMailbox(mailbox, by_name) => {
                let dead = |mailbox| self.spec.is_closed(mailbox);
                let mailboxes = self.known_mailboxes(None);
                let Some(mailbox) = mailbox.of_good(&mailboxes, dead) else { return };
                let place = self.places.get_mut(&mailbox).unwrap();
                match place.real.take() {
                    Some(real) if by_name => real.close(),
                    real => drop(real),
                }
                self.spec.close(mailbox);
                self.log.push(format!("mailbox {mailbox}: close"));
            }
            Op::Export(mailbox, bits) => {
                let Some(mailbox) = self.some_mailbox(mailbox, lent) else { return };
                let real = self.mailbox(mailbox, lent).export(Permissions::from_bits_retain(bits));
                let spec = self.spec.export(mailbox, bits);
                let table = self.places[&mailbox].table;
                let what = format!("mailbox {mailbox}: export({bits:#b})");
                self.handle(what, table, real.translate(), spec);
            }
            Op::Capability(mailbox, bits) => {
                let Some(mailbox) = self.some_mailbox(mailbox, lent) else { return };
                let permissions = Permissions::from_bits_retain(bits);
                let real = self.mailbox(mailbox, lent).capability(permissions);
                let spec = self.spec.capability(mailbox, bits);
                self.log.push(format!("mailbox {mailbox}: capability({bits:#b})"));
                self.new_capability(spec, real);
            }
            Op::Copy(table, alleged) => {
                let Some(table) = self.some_table(table, lent) else { return };
                let (handle, model) = self.allege(table, alleged);
                let real = self.table(table, lent).capability(handle);
                let spec = self.spec.look_up(table, model);
                let what = format!("table {table}: capability({})", name(model, handle));
                if let Some((real, spec)) = self.both(what, real, spec) {
                    self.new_capability(spec, real);
                }
            }
            Op::DemoteCapability(capability, bits) => {
                let Some((spec, real)) = self.host_capability(capability) else { return };
                let what = format!("{spec:?}: demote({bits:#b})");
                let real = real.demote(Permissions::from_bits_retain(bits));
                if let Some((real, spec)) = self.both(what, real, spec.demote(bits)) {
                    self.new_capability(spec, real);
                }
            }
            Op::DropCapability(Pick(number)) => {
                if !self.capabilities.is_empty() {
                    self.capabilities.swap_remove(usize::from(number) % self.capabilities.len());
                }
            }
            Op::Insert(table, capability) => {
                let Some(table) = self.some_table(table, lent) else { return };
                let Some((spec, real)) = self.host_capability(capability) else { return };
                let what = format!("table {table}: insert({spec:?})");
                let real = self.table(table, lent).insert(&real);
                let spec = self.spec.insert(table, spec);
                self.handle(what, table, real.translate(), spec);
            }
            Op::SameRoute(table, a, b) => {
                let Some(table) = self.some_table(table, lent) else { return };
                let ((a, model_a), (b, model_b)) = (self.allege(table, a), self.allege(table, b));
                let real = self.table(table, lent).same_route(a, b).translate();
                let spec = self.spec.same_route(table, model_a, model_b);
                let (a, b) = (name(model_a, a), name(model_b, b));
                self.agree(format!("table {table}: same_route({a}, {b})"), real, spec);
            }
            Op::Demote(table, alleged, bits) => {
                let Some(table) = self.some_table(table, lent) else { return };
                let (handle, model) = self.allege(table, alleged);
                let permissions = Permissions::from_bits_retain(bits);
                let real = self.table(table, lent).demote(handle, permissions).translate();
                let spec = self.spec.demote(table, model, bits);
                let what = format!("table {table}: demote({}, {bits:#b})", name(model, handle));
                self.handle(what, table, real, spec);
            }
            Op::Retain(table, alleged) => {
                let Some(table) = self.some_table(table, lent) else { return };
                let (handle, model) = self.allege(table, alleged);
                let real = self.table(table, lent).retain(handle).translate();
                let spec = self.spec.retain(table, model);
                self.agree(format!("table {table}: retain({})", name(model, handle)), real, spec);
            }
            Op::Release(table, alleged) => {
                let Some(table) = self.some_table(table, lent) else { return };
                let (handle, model) = self.allege(table, alleged);
                let real = self.table(table, lent).release(handle).translate();
                let spec = self.spec.release(table, model);
                self.agree(format!("table {table}: release({})", name(model, handle)), real, spec);
            }
            Op::Send(ref letter) => {
                if let Some(message) = self.address(letter, lent) {
                    self.send(&message, lent);
                }
            }
            Op::PollSend(wait, ref letter) => {
                if let Some(message) = self.address(letter, lent) {
                    self.poll_send(usize::from(wait.0) % self.waiters.len(), message, lent);
                }
            }
            Op::PollSendAgain(wait) => {
                let waiting: Vec<usize> = (0..self.waiters.len())
                    .filter(|&index| self.waiters[index].waits_for.is_some())
                    .collect();
                let Some(index) = wait.of(&waiting) else { return };
                let message = self.waiters[index].waits_for.clone().unwrap();
                if message.is_usable(&self.known_tables(lent)) {
                    self.poll_send(index, message, lent);
                }
            }
            Op::DropWait(wait) => {
                let all: Vec<usize> = (0..self.waiters.len()).collect();
                let waits = |index: usize| self.waiters[index].waits_for.is_some();
                let Some(index) = wait.of_good(&all, waits) else { return };
                let waiter = &mut self.waiters[index];
                self.log.push(format!("wait {}: drop", waiter.id));
                waiter.real = SendWait::default();
                waiter.waits_for = None;
                self.spec.drop_wait(waiter.id);
            }
            Op::PollReady(mailbox) => {
                let Some(mailbox) = mailbox.of(&self.known_mailboxes(None)) else { return };
                let place = self.places.get_mut(&mailbox).unwrap();
                let waker = Waker::from(place.waker.clone());
                let real =
                    place.real.as_mut().unwrap().poll_ready(&mut Context::from_waker(&waker));
                let spec = self.spec.poll_ready(mailbox);
                self.agree(format!("mailbox {mailbox}: poll_ready"), real, spec);
            }
            Op::Receive(mailbox, asking, ref meanwhile, ending) => {
                let ready = |m| self.spec.is_ready(m) && !self.spec.is_closed(m);
                if lent.is_none()
                    && let Some(mailbox) = mailbox.of_good(&self.known_mailboxes(None), ready)
                {
                    let mut real = self.places.get_mut(&mailbox).unwrap().real.take().unwrap();
                    self.receive(mailbox, &mut real, asking, meanwhile, ending);
                    self.places.get_mut(&mailbox).unwrap().real = Some(real);
                }
            }
            Op::TakeOwned(Pick(number), at_most) => {
                if !self.guards.is_empty() {
                    self.take_owned(usize::from(number) % self.guards.len(), at_most);
                }
            }
            Op::DropOwned(Pick(number)) => {
                if !self.guards.is_empty() {
                    let index = usize::from(number) % self.guards.len();
                    let (guard, real) = self.guards.swap_remove(index);
                    self.log.push(format!("guard {guard}: drop"));
                    drop(real);
                    self.spec.drop_guard(guard);
                }
            }
            Op::Kill(via) => {
                let Some(via) = self.route(via, lent) else { return };
                let real = match &via {
                    Route::Table(table, handle, _) => self.table(*table, lent).kill(*handle),
                    Route::Host(capability, _) => capability.kill(),
                };
                let capability = self.permit(&via);
                let spec = capability.and_then(|capability| self.spec.kill(capability));
                self.agree(format!("kill {}", via.describe()), real.translate(), spec);
            }
            Op::KillGroup(group) => {
                let Some(group) = self.some_group(group, lent) else { return };
                self.log.push(format!("group {group}: kill"));
                self.group(group, lent).kill();
                self.spec.kill_group(group);
            }
            Op::Monitor(via, observer) => {
                let Some(via) = self.route(via, lent) else { return };
                let Some(observer) = self.some_mailbox(observer, lent) else { return };
                let mailbox = self.mailbox(observer, lent);
                let real = match &via {
                    Route::Table(t, handle, _) => self.table(*t, lent).monitor(*handle, mailbox),
                    Route::Host(capability, _) => capability.monitor(mailbox),
                };
                let capability = self.permit(&via);
                let spec = capability.and_then(|watched| self.spec.monitor(watched, observer));
                let what = format!("monitor {} by mailbox {observer}", via.describe());
                self.agree(what, real.map(MonitorId::number).translate(), spec);
                if let Ok(id) = real {
                    let monitors = &mut self.places.get_mut(&observer).unwrap().monitors;
                    assert_eq!(*monitors.entry(id.number()).or_insert(id), id);
                }
            }
            Op::Demonitor(mailbox, number) => {
                let monitored = |mailbox| !self.places[&mailbox].monitors.is_empty();
                let mailboxes = self.known_mailboxes(None);
                let Some(mailbox) = mailbox.of_good(&mailboxes, monitored) else { return };
                let place = self.places.get_mut(&mailbox).unwrap();
                let ids: Vec<MonitorId> = place.monitors.values().copied().collect();
                let Some(id) = number.of(&ids) else { return };
                let real = place.real.as_mut().unwrap().demonitor(id);
                let spec = self.spec.demonitor(mailbox, id.number());
                self.agree(format!("mailbox {mailbox}: demonitor({})", id.number()), real, spec);
            }
            Op::Link(via, group) => {
                let Some(via) = self.route(via, lent) else { return };
                let Some(group) = self.some_group(group, lent) else { return };
                let asker = self.group(group, lent);
                let real = match &via {
                    Route::Table(table, handle, _) => self.table(*table, lent).link(*handle, asker),
                    Route::Host(capability, _) => capability.link(asker),
                };
                let capability = self.permit(&via);
                let spec = capability.and_then(|capability| self.spec.link(capability, group));
                let what = format!("link {} with group {group}", via.describe());
                self.agree(what, real.translate(), spec);
            }
            Op::LinkGroups(a, b) => {
                let groups = self.known_groups(lent);
                let pick = |pick: Pick| pick.of_good(&groups, |group| !self.spec.is_dead(group));
                let (Some(a), Some(b)) = (pick(a), pick(b)) else { return };
                let real = self.group(a, lent).link(self.group(b, lent)).translate();
                let spec = self.spec.link_groups(a, b);
                self.agree(format!("group {a}: link(group {b})"), real, spec);
            }
            Op::Unlink(via, group) => {
                let Some(via) = self.route(via, lent) else { return };
                let Some(group) = self.some_group(group, lent) else { return };
                let asker = self.group(group, lent);
                let real = match &via {
                    Route::Table(t, handle, _) => self.table(*t, lent).unlink(*handle, asker),
                    Route::Host(capability, _) => capability.unlink(asker),
                };
                let capability = self.permit(&via);
                let spec = capability.and_then(|capability| self.spec.unlink(capability, group));
                let what = format!("unlink {} from group {group}", via.describe());
                self.agree(what, real.translate(), spec);
            }
            Op::UnlinkGroups(a, b) => {
                let groups = self.known_groups(lent);
                let pick = |pick: Pick| pick.of_good(&groups, |group| !self.spec.is_dead(group));
                let (Some(a), Some(b)) = (pick(a), pick(b)) else { return };
                let real = self.group(a, lent).unlink(self.group(b, lent)).translate();
                let spec = Ok(self.spec.unlink_groups(a, b));
                self.agree(format!("group {a}: unlink(group {b})"), real, spec);
            }
            Op::Mix(mixture) => self.mix(mixture, lent),
            Op::Reclaim => self.office.reclaim(),
        }
        self.check_wakes(false);
    }
}
