//! The work that a server does in the background: one at a time, told as it goes, and by itself when it was planned.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use registry::BackupPlan;
use registry::backup::{BackupState, FailureKind, RestoreRepository};
use tokio_util::sync::CancellationToken;

use super::{expect_whole, push_image};
use crate::house::House;

async fn ended(registry: &registry::Registry) -> BackupState {
    loop {
        match registry.backup_job() {
            Some(job) if job.state != BackupState::Running => return job.state,
            _ => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test]
async fn work_goes_on_whoever_leaves_and_what_came_of_it_is_told() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let target = place.path().join("backups");
    let registry = house.open().await;
    push_image(&registry, "a:1", 1).await;
    assert!(registry.backup_job().is_none());
    let job = registry.begin_backup(target.clone(), None).unwrap();
    assert_eq!((job.id, job.state), (1, BackupState::Running));
    let BackupState::Made(done) = ended(&registry).await else {
        panic!("{:?}", registry.backup_job());
    };
    assert_eq!(done.copied, 1);
    let from = RestoreRepository {
        folder: target,
        time: None,
        name: "a".parse().unwrap(),
        into: "copy".parse().unwrap(),
        actor: None,
    };
    assert_eq!(registry.begin_restore(from).unwrap().id, 2);
    let state = ended(&registry).await;
    assert!(matches!(state, BackupState::Restored(_)), "{state:?}");
    assert_eq!(expect_whole(&registry, "copy").await, 3);
    registry
        .begin_backup(house.path().join("landfall/x"), None)
        .unwrap();
    let BackupState::Failed {
        reason,
        kind: FailureKind::Conflict,
    } = ended(&registry).await
    else {
        panic!("{:?}", registry.backup_job());
    };
    assert!(reason.contains("lies in the data folder"), "{reason}");
    registry.close().await;
}

#[tokio::test]
async fn a_planned_backup_is_made_at_its_time() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let registry = house.open().await;
    push_image(&registry, "a:1", 1).await;
    let asked = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&asked);
    let plan = BackupPlan {
        to: place.path().join("backups"),
        keep: Some(1),
        // At once, and then never again.
        next: Box::new(move |now| (counting.fetch_add(1, Ordering::SeqCst) == 0).then_some(now)),
    };
    registry.run_backups(plan, CancellationToken::new()).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let state = ended(&registry).await;
    assert!(matches!(state, BackupState::Made(_)), "{state:?}");
    assert_eq!(registry.next_backup_ms(), None);
    registry.close().await;
}
