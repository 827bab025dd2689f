//! The commands.

use clap::{Parser, Subcommand};

use super::shared::Shared;
use super::{
    backup, ca, cluster, compare, completions, config, dev, doctor, edges, get, kv, receipt, record, restore, role,
    settings, status, token, verify, zone,
};

/// Change a DNS record once; every edge answers with it in well under a second, and you can prove that it did.
#[derive(Debug, Parser)]
#[command(name = "zonecast", version, max_term_width = 100, propagate_version = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub shared: Shared,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a core and edges in one process and serve a folder of zone files.
    Dev(dev::Dev),
    /// Run a core: it stores the zones, serves the API and sends every change to its edges.
    Core(role::Core),
    /// Run a relay: it follows a core or another relay, and sends every change to the nodes that follow it.
    Relay(role::Role),
    /// Run an edge: it keeps a copy of all zones and answers DNS queries from it.
    Edge(role::Role),
    /// Check configuration files.
    #[command(subcommand)]
    Config(config::Config),
    /// List and change records.
    #[command(subcommand)]
    Record(record::Record),
    /// Import, export, list, check and delete zones.
    #[command(subcommand)]
    Zone(zone::Zone),
    /// Show or change the settings that apply to every zone without settings of its own.
    Settings(settings::Settings),
    /// Show the stored keys of a name with their decoded values and versions.
    Get(get::Get),
    /// Keyspaces beside DNS: other configuration that takes the same way to the edges.
    #[command(subcommand)]
    Kv(kv::Kv),
    /// Send two name servers every question that a zone can answer, and report where their answers differ.
    Compare(compare::Compare),
    /// Show the state of the core and its edges.
    Status(status::Status),
    /// Show which edges have a change, and how long it took to each.
    Receipt(receipt::Receipt),
    /// Compare the copies of all nodes at one version: cores among themselves, then edges with what most cores hold.
    Verify(verify::Verify),
    /// List, add and remove the edges that `--wait all` waits for.
    #[command(subcommand)]
    Edges(edges::Edges),
    /// Show the cores of a cluster, add and remove cores, and move the lead.
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Check nodes and their files, and report each problem with its repair.
    Doctor(doctor::Doctor),
    /// Back up the data of a running core into a folder, or verify or list backups.
    Backup(backup::Backup),
    /// Make the data folder of a core from a backup, or of a version between two backups. A new epoch begins: edges that have what the backup has not take a
    /// snapshot by themselves.
    Restore(restore::Restore),
    /// Issue, show and revoke the certificates of nodes.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Create, list and revoke tokens for the API.
    #[command(subcommand)]
    Token(token::Token),
    /// Print a completion script for a shell.
    Completions(completions::Completions),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use zonecast_kv_proto::WaitFor;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn several_cores_are_named_by_commas_or_one_by_one() {
        let cores = |args: &[&str]| Cli::try_parse_from(["zonecast", "status"].iter().chain(args)).unwrap().shared.core;
        assert_eq!(cores(&["--core", "http://a,http://b"]), ["http://a", "http://b"]);
        assert_eq!(cores(&["--core", "http://a", "--core", "http://b"]), ["http://a", "http://b"]);
    }

    #[test]
    fn a_cluster_has_commands_of_its_own() {
        let parse = |args: &[&str]| Cli::try_parse_from(["zonecast", "cluster"].iter().chain(args));
        for args in [
            &["status"][..],
            &["add", "core-2"],
            &["remove", "core-2", "core-3"],
            &["transfer", "core-2"],
            &["import-at", "core-2"],
        ] {
            assert!(matches!(parse(args).unwrap().command, Command::Cluster(_)), "{args:?}");
        }
        let recover = |args: &[&str]| parse(&[&["recover"], args].concat());
        assert!(recover(&["--data", "d"]).is_ok() && recover(&["--config", "f", "--confirm", "id"]).is_ok());
        assert!(recover(&[]).is_err() && recover(&["--data", "d", "--config", "f"]).is_err());
        for args in [&["add"][..], &["remove"], &["transfer"], &["add", "core-2", "core-3"]] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn options_may_follow_the_data() {
        let args = ["zonecast", "record", "set", "example.com", "www", "A", "60", "192.0.2.1", "--wait", "all"];
        let cli = Cli::try_parse_from(args).unwrap();
        let Command::Record(record::Record::Set(set)) = cli.command else { panic!("not set") };
        assert_eq!(set.waiting.wait_until.wait, Some(WaitFor::All));
        assert_eq!(set.data, ["60", "192.0.2.1"]);
    }
}
