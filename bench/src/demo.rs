//! `zonecast-bench demo`: what zonecast is for, on real input, in one command.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use domain::base::iana::Rtype;

use crate::api::Api;
use crate::dev::Dev;
use crate::probe::Probe;
use crate::{changes, generate};

/// The root zone and generated zones through one core and two edges.
#[derive(Args)]
pub(crate) struct Demo {
    /// How many zones to generate beside the root zone.
    #[arg(long, default_value_t = 1000)]
    zones: usize,
    /// How many changes to make.
    #[arg(long, default_value_t = 200)]
    changes: usize,
    /// Leave it running until Ctrl-C.
    #[arg(long)]
    stay: bool,
}

const SHOWN: usize = 3;

const QUESTIONS: [(&str, Rtype); 6] = [
    (".", Rtype::SOA),
    ("www.example.com.", Rtype::A),
    ("nl.", Rtype::DS),
    ("no-such-tld.", Rtype::A),
    ("ftp.zone-7.example.", Rtype::A),
    ("zone-7.example.", Rtype::MX),
];

impl Demo {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let manifest = self.write_zones(folder.path())?;
        let zones = folder.path().to_str().context("temporary folder is not UTF-8")?;
        // Fixed ports only where somebody will look for them.
        let ports: &[&str] = if self.stay { &[] } else { &["--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"] };
        let args = ["--zones", zones, "--manifest", &manifest, "--edges", "2"];
        println!("starting one core and two edges with the root zone and {} generated zones", self.zones);
        let dev = Dev::start(args.iter().chain(ports))?;
        println!("ready after {:.2} s: {}", dev.took.as_secs_f64(), dev.ready);

        let edges = dev.edges()?;
        for (number, edge) in edges.iter().enumerate() {
            println!("\nasking edge {} at {edge}", number + 1);
            let mut probe = Probe::new(*edge)?;
            for (name, rtype) in QUESTIONS {
                println!("  {name} {rtype}\n      {}", probe.ask(name, rtype)?);
            }
        }

        println!("\n{} changes, one at a time, from the request until both edges answer with it", self.changes);
        let api = Api::new(&dev.http()?);
        let times = changes::run(&api, &edges, self.zones, self.changes, |number, seen| {
            if number < SHOWN {
                println!("  {} (version {})", seen.change, seen.version);
                for (edge, (time, answer)) in edges.iter().zip(&seen.edges) {
                    println!("      {edge} after {:.2} ms: {answer}", time.as_secs_f64() * 1000.0);
                }
            }
        })?;
        let [p50, p99, max] = changes::percentiles(&times);
        println!("  p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms over {} sightings", times.len());

        if self.stay {
            println!("\nleft running; try: {}", hint(&edges.iter().map(ToString::to_string).collect::<Vec<_>>()));
            return dev.wait();
        }
        dev.stop()?;
        println!("stopped; nothing is left running");
        println!("\ntry next:{NEXT}");
        Ok(())
    }

    fn write_zones(&self, folder: &Path) -> anyhow::Result<String> {
        fs::write(folder.join("root.zone"), generate::ROOT_ZONE)?;
        generate::small_zones(folder, self.zones)?;
        let mut lines = String::from(".\troot.zone\n");
        for number in 0..self.zones {
            let apex = generate::apex(number);
            writeln!(lines, "{apex}\t{apex}.zone")?;
        }
        let manifest = folder.join("manifest.tsv");
        fs::write(&manifest, lines)?;
        Ok(manifest.to_str().context("temporary folder is not UTF-8")?.to_owned())
    }
}

/// For whoever has seen the demo.
const NEXT: &str = "
  make up
      the same, left running, with commands to ask and to change it
  target/release/zonecast dev --zones FOLDER
      your own zone files, `example.com.zone` and so on; answered on port 5300
  target/release/zonecast compare 127.0.0.1:5300 ADDRESS --all
      every answer of your zones against those of your name server";

fn hint(edges: &[String]) -> String {
    let port = edges.first().and_then(|edge| edge.rsplit(':').next()).unwrap_or("5300");
    format!(
        "dig @127.0.0.1 -p {port} www.zone-7.example\n  \
         target/release/zonecast record set zone-7.example www A 60 192.0.2.77 --wait all\n  \
         target/release/zonecast status"
    )
}
