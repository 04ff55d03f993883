//! What each actor may do next: one transaction, or one call to the disk.

use super::state::{
    ABSENT, DONE, DURABLE, HIDDEN, HOMES, LIVE, NOWHERE, SHOWN, State, TRASHED, UNKNOWN, UNLINKED, WRITTEN,
};
use super::{Deletes, Fault};

/// Where a state leads.
pub(crate) struct Model {
    pub(crate) fault: Fault,
    pub(crate) deletes: Deletes,
    pub(crate) next: Vec<State>,
}

impl Model {
    fn location(&self, upload: usize) -> u8 {
        if self.fault == Fault::PathsAreUsedTwice {
            0
        } else {
            [1, 2][upload]
        }
    }

    fn go(&mut self, from: &State, step: impl FnOnce(&mut State)) {
        let mut state = *from;
        step(&mut state);
        self.next.push(state);
    }

    /// P-PUT of manifest `m`.
    fn put(&self, state: &mut State, m: usize) {
        let is_deleted = HOMES[m] == 0 && state.is_deleted(self.deletes);
        if is_deleted && self.fault != Fault::PutDoesNotHoldRepository {
            return;
        }
        if state.links[HOMES[m]] == SHOWN || self.fault == Fault::PutDoesNotLook {
            state.manifests[m] = LIVE;
        }
    }

    fn upload(&mut self, s: &State, n: usize) {
        let at = self.location(n);
        let (file, bit) = (usize::from(at), 1 << n);
        let (fault, is_deleted) = (self.fault, s.is_deleted(self.deletes));
        match s.uploads[n] {
            0 => self.go(s, |s| (s.uploads[n], s.in_flight) = (1, s.in_flight | bit)),
            // U5: the name, and U6, U7: what makes it durable.
            1 => self.go(s, |s| {
                s.files[file] = s.files[file].max(WRITTEN);
                s.uploads[n] = if fault == Fault::RowBeforeSync { 3 } else { 2 };
            }),
            2 => self.go(s, |s| {
                if s.files[file] == WRITTEN {
                    s.files[file] = DURABLE;
                }
                if fault == Fault::FlightEndsBeforeCommit {
                    s.in_flight &= !bit;
                }
                s.uploads[n] = 3;
            }),
            // U8: P-PUBLISH, and then out of the flight.
            3 => self.go(s, |s| {
                if s.blob == NOWHERE {
                    s.blob = at;
                } else if s.blob != at {
                    s.tombstones |= 1 << at;
                }
                // A new repository of the same name is another one, as the second is.
                s.links[usize::from(is_deleted)] = SHOWN;
                s.uploads[n] = 4;
            }),
            4 => self.go(s, |s| (s.uploads[n], s.in_flight) = (5, s.in_flight & !bit)),
            5 if fault == Fault::PutDoesNotHoldRepository => {
                self.go(s, |s| s.uploads[n] = if is_deleted { DONE } else { 6 });
            }
            5 | 6 => {
                let mut state = *s;
                self.put(&mut state, n + 1);
                state.uploads[n] = DONE;
                self.next.push(state);
            }
            _ => {}
        }
    }

    /// Mounts the blob into the second repository, or looks whether it is in the first; then puts a manifest there.
    fn clients(&mut self, s: &State) {
        let serves = s.links[0] == SHOWN && !s.is_deleted(self.deletes);
        match s.mount {
            0 => self.go(s, |s| {
                if serves {
                    (s.links[1], s.mount) = (SHOWN, 1);
                } else {
                    s.mount = DONE;
                }
            }),
            1 => {
                let mut state = *s;
                self.put(&mut state, 3);
                state.mount = DONE;
                self.next.push(state);
            }
            _ => {}
        }
        match s.look {
            0 => self.go(s, |s| s.look = if serves { 1 } else { DONE }),
            1 => {
                let mut state = *s;
                self.put(&mut state, 4);
                state.look = DONE;
                self.next.push(state);
            }
            _ => {}
        }
    }

    /// Deletes repository 0, and brings it back or ends it.
    fn delete_repository(&mut self, s: &State) {
        let fault = self.fault;
        match s.delete {
            0 => self.go(s, |s| s.delete = 1),
            1 => {
                self.go(s, |s| s.delete = DONE);
                self.go(s, |s| s.delete = 2);
            }
            2 | 3 => {
                if s.delete == 2 && fault == Fault::RestoreAfterPurgeBegan {
                    self.go(s, |s| s.delete = DONE);
                }
                if s.delete == 2 && fault == Fault::RepositoryPurgeTakesLinks && s.links[0] != UNLINKED {
                    self.go(s, |s| {
                        s.links[0] = UNLINKED;
                        drop_blob(s, fault);
                    });
                }
                let ours: Vec<usize> = (0..5).filter(|&m| HOMES[m] == 0).collect();
                for &m in &ours {
                    match s.manifests[m] {
                        LIVE if s.delete == 2 => self.go(s, |s| s.manifests[m] = TRASHED),
                        TRASHED => self.go(s, |s| s.manifests[m] = UNKNOWN),
                        _ => {}
                    }
                }
                if s.delete == 2 && ours.iter().all(|&m| s.manifests[m] != LIVE) {
                    self.go(s, |s| s.delete = 3);
                }
            }
            _ => {}
        }
    }

    /// Deletes manifest 0, and brings it back or purges it.
    fn delete_manifest(&mut self, s: &State) {
        let fault = self.fault;
        match s.delete {
            0 => self.go(s, |s| (s.manifests[0], s.delete) = (TRASHED, 1)),
            1 => {
                self.go(s, |s| (s.manifests[0], s.delete) = (UNKNOWN, DONE));
                self.go(s, |s| {
                    (s.manifests[0], s.delete) = (LIVE, DONE);
                    if s.links[0] == HIDDEN && fault != Fault::RestoreLeavesHidden {
                        s.links[0] = SHOWN;
                    }
                });
            }
            _ => {}
        }
    }

    fn deletes(&mut self, s: &State) {
        match self.deletes {
            Deletes::Manifest => self.delete_manifest(s),
            Deletes::Repository => self.delete_repository(s),
        }
        let (fault, is_deleted) = (self.fault, s.is_deleted(self.deletes));
        if s.unlink == 0 {
            self.go(s, |s| {
                s.unlink = 1;
                if is_deleted {
                    return;
                }
                let is_named = (0..5).any(|m| HOMES[m] == 0 && s.manifests[m] == LIVE);
                if s.links[0] != SHOWN || is_named && fault != Fault::UnlinkDoesNotLook {
                    return;
                }
                s.links[0] = HIDDEN;
                if fault == Fault::UnlinkRemoves {
                    s.links[0] = UNLINKED;
                    drop_blob(s, fault);
                }
            });
        }
    }

    fn review(&mut self, s: &State, n: usize) {
        let fault = self.fault;
        if s.reviews[n].0 == 1 {
            return self.go(s, |s| {
                let repo = usize::from(s.reviews[n].1);
                (s.links[repo], s.reviews[n]) = (UNLINKED, (DONE, 0));
                drop_blob(s, fault);
            });
        }
        if s.reviews[n].0 != 0 {
            return;
        }
        for repo in [0_u8, 1] {
            if s.links[usize::from(repo)] == UNLINKED || s.names(usize::from(repo)) {
                continue;
            }
            if fault == Fault::ReviewDoesNotLookAgain {
                self.go(s, |s| s.reviews[n] = (1, repo));
                continue;
            }
            self.go(s, |s| {
                (s.links[usize::from(repo)], s.reviews[n]) = (UNLINKED, (DONE, 0));
                drop_blob(s, fault);
            });
        }
    }

    fn sweep(&mut self, s: &State) {
        let (pc, at) = s.sweep;
        match pc {
            0 => {
                for at in (0..3).filter(|at| s.tombstones & 1 << at != 0) {
                    self.go(s, |s| s.sweep = (1, at));
                }
            }
            1 => self.go(s, |s| (s.files[usize::from(at)], s.sweep) = (ABSENT, (2, at))),
            _ => self.go(s, |s| {
                (s.tombstones, s.sweep) = (s.tombstones & !(1 << at), (0, 0));
            }),
        }
    }

    fn scan(&mut self, s: &State) {
        let (pc, at) = s.scan;
        let flies = match self.fault {
            Fault::ScanIgnoresFlights => false,
            Fault::PathsAreUsedTwice => s.in_flight != 0,
            // The location that was there from the start has no upload.
            _ => at > 0 && s.in_flight & 1 << (at - 1) != 0,
        };
        let is_known = s.blob == at || s.tombstones & 1 << at != 0;
        let questions = if self.fault == Fault::ScanAsksCatalogFirst {
            [is_known, flies]
        } else {
            [flies, is_known]
        };
        match pc {
            0 => {
                for at in (0..3).filter(|&at| s.files[usize::from(at)] != ABSENT) {
                    self.go(s, |s| s.scan = (1, at));
                }
            }
            1 | 2 => {
                let skip = questions[usize::from(pc) - 1];
                self.go(s, |s| s.scan = if skip { (0, 0) } else { (pc + 1, at) });
            }
            _ => self.go(s, |s| (s.files[usize::from(at)], s.scan) = (ABSENT, (0, 0))),
        }
    }

    /// What was in memory is gone, and so is what was not synced, or it is not.
    fn crash(&mut self, s: &State) {
        if s.crashed == 1 {
            return;
        }
        for keeps in [false, true] {
            self.go(s, |s| {
                for file in &mut s.files {
                    if *file == WRITTEN && !keeps {
                        *file = ABSENT;
                    }
                }
                let client = |pc: u8| if pc == 0 { 0 } else { DONE };
                (s.in_flight, s.crashed) = (0, 1);
                s.uploads = s.uploads.map(client);
                (s.mount, s.look) = (client(s.mount), client(s.look));
                s.reviews = s.reviews.map(|(pc, _)| (if pc == DONE { DONE } else { 0 }, 0));
                (s.sweep, s.scan) = ((0, 0), (0, 0));
            });
        }
    }

    /// Every state that one step leads to.
    pub(crate) fn steps(&mut self, s: &State) {
        for n in [0, 1] {
            self.upload(s, n);
            self.review(s, n);
        }
        self.clients(s);
        self.deletes(s);
        self.sweep(s);
        self.scan(s);
        self.crash(s);
    }
}

/// After a link went: the blob goes with the last.
fn drop_blob(s: &mut State, fault: Fault) {
    let is_linked = s.links != [UNLINKED; 2] && fault != Fault::ReviewForgetsOtherLinks;
    if !is_linked && s.blob != NOWHERE {
        s.tombstones |= 1 << s.blob;
        s.blob = NOWHERE;
    }
}
