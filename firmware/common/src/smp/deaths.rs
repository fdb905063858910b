//! Deaths: every CPU makes a victim process, watches and links its neighbour's, and all of them race.

use core::sync::atomic::Ordering;

use flue_core::{
    DownReason, Handle, MonitorId, Permissions, PostOffice, SendError, Signal, TableError,
    TryRecvError,
};

use super::{CPUS, DEAD, Member, SIGNALS, VICTIMS, meet};
use crate::process::{EVERYTHING, Process};
use crate::sync::relax;

const ROUNDS: u64 = 400;

impl Member {
    pub(super) fn die_often(&mut self, office: &PostOffice) {
        for round in 0..ROUNDS {
            let victim = Process::new(office, 4, 2).unwrap();
            VICTIMS.publish(self.cpu, victim.mailbox.capability(EVERYTHING));
            meet();
            let scene = Scene::new(self, victim);
            meet();
            match round % 4 {
                0 => self.one_kills(scene, round as usize / 4 % CPUS),
                1 => self.all_kill(scene),
                2 => self.unlink_races_kill(scene, round as usize / 4 % CPUS),
                _ => self.all_close(scene),
            }
            VICTIMS.clear(self.cpu);
            assert_eq!(self.process.table.len(), CPUS - 1);
            meet();
        }
    }

    /// One kill: through the ring of links everybody dies, before the kill returns.
    fn one_kills(&mut self, mut scene: Scene, killer: usize) {
        if self.cpu == killer {
            self.process.table.kill(scene.neighbour).unwrap();
            assert!(scene.victim.group.is_dead(), "the ring came round");
        } else {
            // Until the neighbour dies.
            loop {
                match self.process.table.send(scene.neighbour, b"still there?", &[scene.neighbour])
                {
                    Ok(()) | Err(SendError::Full) => relax(),
                    Err(SendError::Closed) => break,
                    Err(error) => panic!("send: {error}"),
                }
            }
        }
        meet();
        self.expect_dead(&mut scene);
    }

    /// Everybody kills its neighbour: no deadlock, and each monitor ends once.
    fn all_kill(&mut self, mut scene: Scene) {
        self.process.table.kill(scene.neighbour).unwrap();
        meet();
        self.expect_dead(&mut scene);
    }

    /// One kills while the others cut the ring: whichever link was cut in time, both its sides agree.
    fn unlink_races_kill(&mut self, mut scene: Scene, killer: usize) {
        let cut = if self.cpu == killer {
            self.process.table.kill(scene.neighbour).unwrap();
            false
        } else {
            self.process.table.unlink(scene.neighbour, &scene.victim.group).unwrap()
        };
        meet();
        let mine = scene.victim.group.is_dead();
        let theirs = self.process.table.send(scene.neighbour, b"", &[]) == Err(SendError::Closed);
        assert!(cut || mine == theirs, "a link that was not cut spreads death");
        meet();
        scene.victim.group.kill();
        meet();
        self.expect_dead(&mut scene);
    }

    /// Everybody closes its victim's mailbox: the downs say so, and the groups live until killed.
    fn all_close(&mut self, scene: Scene) {
        let Scene { victim, own, neighbour, monitor } = scene;
        let Process { group, mailbox, table } = victim;
        mailbox.close();
        meet();
        assert!(!group.is_dead());
        assert_eq!(self.process.table.kill(neighbour), Err(TableError::Closed));
        self.expect_down(monitor, neighbour, DownReason::Closed);
        assert_eq!(self.process.table.unlink(neighbour, &group), Ok(true));
        meet();
        assert!(table.contains(own));
        group.kill();
        assert_eq!(table.len(), 0);
        self.process.table.release(neighbour).unwrap();
        DEAD.fetch_add(1, Ordering::Relaxed);
    }

    fn expect_dead(&mut self, scene: &mut Scene) {
        assert!(scene.victim.group.is_dead());
        assert!(matches!(scene.victim.mailbox.try_recv(), Err(TryRecvError::Dead)));
        assert!(!scene.victim.table.contains(scene.own));
        assert_eq!(self.process.table.send(scene.neighbour, b"", &[]), Err(SendError::Closed));
        self.expect_down(scene.monitor, scene.neighbour, DownReason::Killed);
        self.process.table.release(scene.neighbour).unwrap();
        DEAD.fetch_add(1, Ordering::Relaxed);
    }

    /// Exactly one down waits, and nothing else.
    fn expect_down(&mut self, monitor: MonitorId, neighbour: Handle, reason: DownReason) {
        match self.process.mailbox.try_recv() {
            Ok(Signal::Down(down)) => {
                assert_eq!((down.monitor(), down.reason()), (monitor, reason));
                assert_eq!(self.process.table.same_route(down.handle(), neighbour), Ok(true));
            }
            _ => panic!("no down"),
        }
        assert!(matches!(self.process.mailbox.try_recv(), Err(TryRecvError::Empty)));
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }
}

/// One round of deaths, as one CPU sees it: its victim, which is linked to its neighbour's, which it watches.
struct Scene {
    victim: Process,
    /// A handle in the victim's own table.
    own: Handle,
    neighbour: Handle,
    monitor: MonitorId,
}

impl Scene {
    fn new(member: &Member, victim: Process) -> Scene {
        let table = &member.process.table;
        let neighbour = table.insert(&VICTIMS.look_up((member.cpu + 1) % CPUS)).unwrap();
        let monitor = table.monitor(neighbour, &member.process.mailbox).unwrap();
        table.link(neighbour, &victim.group).unwrap();
        table.send(neighbour, b"dies with the queue", &[neighbour]).unwrap();
        let own = victim.mailbox.export(Permissions::SEND).unwrap();
        Scene { victim, own, neighbour, monitor }
    }
}
