//! Runs the daemon against an embedded simulation of the Cloudflare API.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Error, daemon, logging, output, signals};
use crate::config::{self, ConfigError, ConfigErrors, Environment, Format, Place, ProcessFlags};
use crate::simulator::dns::NameServer;
use crate::simulator::{Simulator, demo};
use crate::web::{self, Protection};

/// Makes the simulated changes the same in every run.
const SEED: u64 = 1;

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(
    flags: &ProcessFlags,
    environment: &Environment,
    api_listen: Option<&str>,
) -> Result<ExitCode, Error> {
    if flags.config_file().is_some() {
        let place = Place::Flag("--config.file".into());
        let problem = "the demo has a configuration of its own; leave this out";
        return Err(ConfigErrors::from(ConfigError::whole(place, problem)).into());
    }
    logging::init(&flags.log());
    let shutdown = signals::shutdown()?;
    let api = start_api(api_listen, shutdown.clone()).await?;
    let names = NameServer::local(demo::hosts(), shutdown.clone()).await;
    let names = names.map_err(|error| format!("cannot serve the simulated DNS: {error}"))?;
    let text = configuration(&api, &names);
    // The demo uses only its own API, whatever the environment sets.
    let (flags, environment) = (flags.clone(), environment.without_accounts());
    let name = "the demo's configuration";
    let load = move || config::load_text(name, Format::Yaml, &text, &flags, &environment);
    let settings = load()?;
    let protection = Protection::load(settings.web.web_config_file.as_deref())?;
    let listeners = web::bind(&settings.web).await?;
    let (scheme, telemetry_path) = (protection.scheme(), &settings.web.telemetry_path);
    let welcome = welcome(&api, &listeners, scheme, telemetry_path);
    output::write(None, welcome.as_bytes())?;
    let living = tokio::spawn(demo::live(api, shutdown.clone(), SEED));
    daemon::serve(settings, Arc::new(load), protection, listeners, shutdown).await?;
    let lived = living.await;
    lived.map_err(|error| format!("the demo failed: {error}"))?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn start_api(address: Option<&str>, shutdown: CancellationToken) -> Result<Simulator, Error> {
    let address = match address {
        Some(port) if port.starts_with(':') => format!("0.0.0.0{port}"),
        Some(address) => address.to_owned(),
        None => "127.0.0.1:0".to_owned(),
    };
    let fail = |error| {
        format!(
            "cannot serve the simulated API on {address}: {error}; choose another address with \
             --api.listen-address"
        )
    };
    let listener = TcpListener::bind(&address).await.map_err(fail)?;
    Ok(Simulator::start(listener, demo::world(Timestamp::now()), shutdown).map_err(fail)?)
}

/// The configuration of the simulated zones.
fn configuration(api: &Simulator, names: &NameServer) -> String {
    let mut text = include_str!("demo.yaml")
        .replace("$BASE_URL", &api.base_url())
        .replace("$REQUESTS", &demo::REQUESTS.to_string())
        .replace("$TOKEN", demo::TOKEN)
        .replace("$NAMESERVER", &names.address().to_string());
    for file in demo::range_files() {
        let url = api.file_url(file.path);
        let _ = writeln!(text, "      {}: \"{url}\"", file.vendor);
    }
    text
}

fn welcome(
    api: &Simulator,
    listeners: &[TcpListener],
    scheme: &str,
    telemetry_path: &str,
) -> String {
    let mut text = "A simulated Cloudflare API, and the exporter reading it:\n\n".to_owned();
    for mut address in listeners.iter().flat_map(TcpListener::local_addr) {
        if address.ip().is_unspecified() {
            // A browser on this host cannot open every address.
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let _ = writeln!(text, "  page     {scheme}://{address}/");
        let _ = writeln!(text, "  metrics  {scheme}://{address}{telemetry_path}");
    }
    let (url, token) = (api.base_url(), demo::TOKEN);
    let _ = writeln!(text, "  API      {url}  (token: {token})");
    text.push_str(
        "\nMappings come, go and change; one zone fails now and then. Ctrl-C ends it.\n\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::poller::Shard;

    #[test]
    fn the_zones_are_spread_evenly_over_a_few_shards() {
        let world = demo::world(Timestamp::UNIX_EPOCH);
        for total in 2..=4 {
            let sizes = (0..total).map(|ordinal| {
                let shard = Shard { ordinal, total };
                world.zones.keys().filter(|zone| shard.owns(zone)).count()
            });
            let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
            assert!(most - least <= 1, "{total} shards: {least} to {most} zones");
        }
    }
}
