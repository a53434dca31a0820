//! `serve`: the gateway.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::{BAD_INPUT, complain, environment, print};
use crate::app::App;
use crate::config;
use crate::telemetry::log;

/// Run the gateway until SIGTERM or SIGINT, then drain. Exit code 0 after a drain, 2 for a bad configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway serve --config deploy/gateway.toml\n\n\
    Record what it is asked, with pseudonyms for every identifier, and play it again:\n  \
    curl 'http://127.0.0.1:9090/debug/capture?seconds=10' > corpus.ndjson\n  \
    uid2-gateway replay --target http://127.0.0.1:8080/openrtb2/auction --corpus corpus.ndjson --recorded")]
pub(super) struct Args {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (config, warnings) = match config::load(&args.config, &environment()) {
        Ok(loaded) => loaded,
        Err(faults) => {
            complain(&format!("the configuration cannot be used\n{faults}"));
            return Ok(ExitCode::from(BAD_INPUT));
        }
    };
    log::install(&config.log)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let (path, env) = (args.config.clone(), environment());
    let again = move || {
        let (config, warnings) = config::load(&path, &env)?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        Ok(config)
    };
    let app = App::build_from(config, Some(Box::new(again)))?;
    reload_on_hangup(&app)?;
    // From here on a signal drains; before, there is nothing to drain.
    let signals = watch(app.control())?;
    let (data, admin) = app.addresses()?;
    print(&format!("listening data={}://{data} admin=http://{admin}\n", app.data_scheme()))?;
    app.start()?.run_until(signals.notified(), signals.notified())?;
    Ok(ExitCode::SUCCESS)
}

/// SIGHUP reloads the configuration.
fn reload_on_hangup(app: &App) -> anyhow::Result<()> {
    let _entered = app.control().enter();
    let mut hangups = signal(SignalKind::hangup())?;
    let reloader = app.reloader();
    app.control().spawn(async move {
        while hangups.recv().await.is_some() {
            Arc::clone(&reloader).reload_now().await;
        }
    });
    Ok(())
}

/// Notifies at each SIGTERM and SIGINT, watched from now on.
fn watch(runtime: &Handle) -> anyhow::Result<Arc<Notify>> {
    let _entered = runtime.enter();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signals = Arc::new(Notify::new());
    let told = Arc::clone(&signals);
    runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => told.notify_one(),
                _ = int.recv() => told.notify_one(),
            }
        }
    });
    Ok(signals)
}

/// Returns at the next SIGTERM or SIGINT.
pub(super) async fn signalled() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        complain("signals cannot be watched; end the process with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
