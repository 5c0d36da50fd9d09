//! The memory of many hosts.

use std::fs;
use std::process::Command;

use cloudflare_origin_region_exporter::domain::{OriginIp, ZoneId};
use cloudflare_origin_region_exporter::origin_hosts::{
    MAX_HOSTS, Metrics, OriginHosts, Settings, StoredAddress, StoredHost,
};
use jiff::Timestamp;
use prometheus::Registry;

use crate::support::host;

/// Runs the measurement in a separate process, where no other test allocates memory.
#[test]
fn ten_thousand_hosts_take_less_than_10_mb() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::measure", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let kilobytes = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("kilobytes: "))
        .unwrap();
    let kilobytes: u64 = kilobytes.parse().unwrap();
    let bytes = kilobytes * 1024;
    assert!((1_000_000..10_000_000).contains(&bytes), "{bytes} bytes");
}

#[tokio::test]
#[ignore = "run by the test above, in its own process"]
async fn measure() {
    let now = Timestamp::now();
    let stored = |n: usize| StoredHost {
        host: host(&format!(
            "application-load-balancer-{n}.us-east-1.elb.amazonaws.com"
        )),
        addresses: (0..8)
            .map(|part| StoredAddress {
                ip: OriginIp::parse(&format!("198.18.{}.{}", n / 256, n % 32 * 8 + part)).unwrap(),
                first_seen: now,
                last_seen: now,
            })
            .collect(),
        chain: vec![host(&format!("name-{n}.example"))],
        failure: None,
        negatives: 0,
        negative_since: now,
        overflowed: None,
        rotating_above: None,
        novelties: 0,
        doubts: 0,
    };
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let hosts = OriginHosts::new(Settings::default(), metrics).unwrap();
    let before = resident_kilobytes();
    for n in 0..MAX_HOSTS {
        hosts.restore(&[stored(n)]);
    }
    for zone in 0..MAX_HOSTS / 10 {
        let wanted = (zone * 10..zone * 10 + 10).map(|n| stored(n).host);
        let zone = ZoneId::parse(&format!("{zone:032x}")).unwrap();
        hosts.want(&zone, wanted.collect());
    }
    let after = resident_kilobytes();
    assert_eq!(
        hosts
            .all()
            .iter()
            .map(|host| host.ips().len())
            .sum::<usize>(),
        8 * MAX_HOSTS
    );
    println!("\nkilobytes: {}", after - before);
}

fn resident_kilobytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
