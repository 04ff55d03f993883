//! Backups that a server makes by itself, as `backup.schedule` says.

use config::Settings;
use registry::Registry;
use tokio_util::sync::CancellationToken;

/// Makes backups at their times, until `stop`.
pub(crate) fn planned(
    settings: &Settings,
    registry: &Registry,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + Send + use<> {
    let plan = settings.backup.to.clone().zip(settings.backup.schedule.clone());
    let keep = settings
        .backup
        .keep
        .map(|keep| usize::try_from(keep).unwrap_or(usize::MAX));
    let (registry, stop) = (registry.clone(), stop.clone());
    async move {
        let Some((to, schedule)) = plan else { return };
        let next = Box::new(move |now: i64| schedule.after(now));
        registry
            .run_backups(registry::BackupPlan { to, keep, next }, stop)
            .await;
    }
}
