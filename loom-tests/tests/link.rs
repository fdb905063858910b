//! Models of links: both sides agree, whatever comes first.
#![cfg(loom)]

use flue_core::{RouteGroup, TableError};
use loom_tests::{model, office, thread};

/// Two groups of one office.
fn two() -> (flue_core::PostOffice, RouteGroup, RouteGroup) {
    let office = office();
    let (a, b) = (office.create_group().unwrap(), office.create_group().unwrap());
    (office, a, b)
}

/// Two that were linked once: the record is there, and the installing of the
/// first is no part of the race.
fn used() -> (flue_core::PostOffice, RouteGroup, RouteGroup) {
    let (office, a, b) = two();
    a.link(&b).unwrap();
    assert_eq!(a.unlink(&b), Ok(true));
    (office, a, b)
}

model! {
    /// Rule L2: a link races the kill of the one it asks for: when both have
    /// returned, both are dead. The link is tied, then the groups are looked at;
    /// the killer ends the group, then looks for links; a fence between each.
    fn link_races_kill_of_the_other() {
        let (office, a, b) = two();
        let killer = thread::spawn({
            let b = b.clone();
            move || b.kill()
        });
        assert_eq!(a.link(&b), Ok(()));
        killer.join().unwrap();
        assert!(a.is_dead() && b.is_dead(), "one survives");
        drop((a, b));
        let stats = office.stats();
        assert_eq!((stats.links, stats.groups), (0, 0), "left over");
    }
    twin fails_unfenced: LinkUnfenced says "one survives";
    twin fails_unfenced_killer: KillUnfenced says "one survives";
    /// A link that does not look at the groups again once it is tied.
    twin fails_unchecked: LinkUnchecked says "one survives";
}

model! {
    /// Rule L2, the other direction.
    fn link_races_kill_of_the_asker() {
        let (office, a, b) = two();
        let killer = thread::spawn({
            let a = a.clone();
            move || a.kill()
        });
        assert_eq!(a.link(&b), Ok(()));
        killer.join().unwrap();
        assert!(a.is_dead() && b.is_dead(), "one survives");
        drop((a, b));
        let stats = office.stats();
        assert_eq!((stats.links, stats.groups), (0, 0), "left over");
    }
    twin fails_unfenced: LinkUnfenced says "one survives";
}

model! {
    /// Rules L1 and L4: link(a, b) races link(b, a): one link.
    fn link_races_link() {
        let (office, a, b) = used();
        let other = thread::spawn({
            let (a, b) = (a.clone(), b.clone());
            move || b.link(&a)
        });
        assert_eq!(a.link(&b), Ok(()));
        assert_eq!(other.join().unwrap(), Ok(()));
        assert_eq!(office.stats().links, 1, "not one link");
        assert_eq!((a.unlink(&b), b.unlink(&a)), (Ok(true), Ok(false)));
        assert_eq!(office.stats().links, 0, "left over");
    }
}

model! {
    /// Rule L3: of two unlinks one removes the link.
    fn unlink_races_unlink() {
        let (office, a, b) = two();
        a.link(&b).unwrap();
        let other = thread::spawn({
            let (a, b) = (a.clone(), b.clone());
            move || b.unlink(&a).unwrap()
        });
        let mine = a.unlink(&b).unwrap();
        assert!(mine ^ other.join().unwrap(), "removed twice, or never");
        assert_eq!(office.stats().links, 0, "left over");
        a.kill();
        assert!(!b.is_dead());
    }
    twin fails_in_two_steps: EndInTwoSteps says "removed twice, or never";
}

model! {
    /// Rules L3 and L4: a link races an unlink. When both have returned there is
    /// a link, which is found, if and only if a later kill passes it on: a record
    /// lives before it is listed, for who finds a dead one takes it out.
    fn link_races_unlink() {
        let (office, a, b) = used();
        let other = thread::spawn({
            let (a, b) = (a.clone(), b.clone());
            move || b.unlink(&a).unwrap()
        });
        assert_eq!(a.link(&b), Ok(()));
        let removed = other.join().unwrap();
        assert_eq!(office.stats().links, usize::from(!removed), "both sides disagree");
        if !removed {
            assert_eq!(a.link(&b), Ok(()));
            assert_eq!(office.stats().links, 1, "a link that is not found");
        }
        a.kill();
        assert_eq!(b.is_dead(), !removed, "both sides disagree");
    }
    twin fails_listed_first: ListedFirst says "a link that is not found";
}

model! {
    /// Rule L3: an unlink that returns `true` beside a kill: the other lives.
    fn unlink_races_kill() {
        let (_office, a, b) = two();
        a.link(&b).unwrap();
        let killer = thread::spawn({
            let a = a.clone();
            move || a.kill()
        });
        let removed = b.unlink(&a).unwrap();
        killer.join().unwrap();
        assert_eq!(b.is_dead(), !removed, "removed, and killed through it");
    }
    twin fails_in_two_steps: EndInTwoSteps says "removed, and killed through it";
}

model! {
    /// Rule L1: an existing link is linked again while it is removed.
    fn relink_races_unlink() {
        let (office, a, b) = two();
        a.link(&b).unwrap();
        let other = thread::spawn({
            let (a, b) = (a.clone(), b.clone());
            move || b.unlink(&a).unwrap()
        });
        assert_eq!(b.link(&a), Ok(()));
        assert!(other.join().unwrap(), "there was one all the while");
        let links = office.stats().links;
        a.kill();
        assert_eq!(b.is_dead(), links == 1, "both sides disagree");
    }
}

model! {
    /// Rule L4: both ends of a link are killed at once: nothing is left, nobody waits.
    fn kill_races_kill_of_the_other_end() {
        let (office, a, b) = two();
        a.link(&b).unwrap();
        let killer = thread::spawn({
            let b = b.clone();
            move || b.kill()
        });
        a.kill();
        killer.join().unwrap();
        assert!(a.is_dead() && b.is_dead());
        drop((a, b));
        let stats = office.stats();
        assert_eq!((stats.links, stats.groups), (0, 0), "left over");
    }
}

model! {
    /// Rule O4: a group ends while another links to it: its links dissolve, and
    /// who links to what has ended is killed.
    fn link_races_end() {
        let (office, a, b) = two();
        let table = office.create_table().unwrap();
        let mailbox = b.create_mailbox_with(&table, loom_tests::room(1)).unwrap();
        let to = mailbox.capability(flue_core::Permissions::LINK);
        drop(b);
        let other = thread::spawn_once(move || drop(mailbox)); // The last owner.
        let linked = to.link(&a);
        other.join().unwrap();
        assert!(matches!(linked, Ok(()) | Err(TableError::Closed)), "{linked:?}");
        drop(a);
        let stats = office.stats();
        assert_eq!((stats.links, stats.groups), (0, 0), "left over");
    }
}

model! {
    /// Rule K3: a chain of three, killed at both ends at once.
    fn kills_race_along_a_chain() {
        let (office, a, b) = two();
        let c = office.create_group().unwrap();
        a.link(&b).unwrap();
        b.link(&c).unwrap();
        let other = thread::spawn({
            let c = c.clone();
            move || c.kill()
        });
        a.kill();
        other.join().unwrap();
        assert!(a.is_dead() && b.is_dead() && c.is_dead(), "a death that was not passed on");
        drop((a, b, c));
        assert_eq!((office.stats().links, office.stats().groups), (0, 0), "left over");
    }
}

model! {
    /// Rule Q1: the limit of the links a group asks for is exact, and given back.
    fn link_races_link_at_the_limit() {
        let mut limits = flue_core::Limits::default();
        limits.links_per_group = 1;
        let office = flue_core::PostOffice::with_limits(limits);
        let groups: Vec<RouteGroup> = (0..3).map(|_| office.create_group().unwrap()).collect();
        let other = thread::spawn({
            let (a, b) = (groups[0].clone(), groups[1].clone());
            move || a.link(&b)
        });
        let mine = groups[0].link(&groups[2]);
        let theirs = other.join().unwrap();
        assert!(mine.is_ok() ^ theirs.is_ok(), "the limit is not exact");
        let linked = if mine.is_ok() { &groups[2] } else { &groups[1] };
        assert_eq!(groups[0].unlink(linked), Ok(true));
        assert_eq!(groups[0].link(&groups[1]), Ok(()), "the charge was kept");
    }
}

model! {
    /// Rule Q1: who repays the asker of a link that it has cut repays no other: a group that
    /// has ended is not taken for the next in its slot, which is begun before it is owned.
    fn repay_races_reuse_of_the_asker() {
        let office = office();
        let groups: [RouteGroup; 4] = std::array::from_fn(|_| office.create_group().unwrap());
        let [a, b, x, _y] = groups; // A whole segment: the next one is in the slot of `a`.
        a.link(&b).unwrap();
        let other = thread::spawn_once(move || drop(b)); // Dissolves the link, and repays `a`.
        drop(a);
        let next = office.create_group().unwrap();
        other.join().unwrap();
        assert_eq!(next.link(&x), Ok(()), "repaid what it was never charged");
    }
    twin fails_owned_first: HeldBeforeBorn says "repaid what it was never charged";
}
