//! The commands.

use clap::{Parser, Subcommand};

use super::shared::Shared;
use super::{
    backup, ca, compare, completions, config, dev, doctor, edges, get, record, role, settings, status, token, zone,
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
    /// Run a core and edges in one process, serving a folder of zone files.
    Dev(dev::Dev),
    /// Run a core: a voter, its API, and the fan-out to its edges.
    Core(role::Core),
    /// Run an edge: a copy of everything published that answers DNS.
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
    /// Show what is chosen for all zones that choose nothing themselves, or choose something else.
    Settings(settings::Settings),
    /// Show what the store holds for a name: key, decoded value, version.
    Get(get::Get),
    /// Ask two name servers everything that a zone can answer, and report where they differ.
    Compare(compare::Compare),
    /// Show how the core and its edges stand.
    Status(status::Status),
    /// Show which edges are waited for, and say for which to wait.
    #[command(subcommand)]
    Edges(edges::Edges),
    /// Find out what is wrong with nodes and their files, and what to do about it.
    Doctor(doctor::Doctor),
    /// Copy what the core holds into a folder while it runs, or verify such a copy.
    Backup(backup::Backup),
    /// Say that a core was restored on purpose, so that edges that are ahead of it follow.
    AcceptRestore(backup::AcceptRestore),
    /// Make the certificates of nodes, show and revoke them.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Make, list and revoke tokens for the API.
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
    fn options_may_follow_the_data() {
        let args = ["zonecast", "record", "set", "example.com", "www", "A", "60", "192.0.2.1", "--wait", "all"];
        let cli = Cli::try_parse_from(args).unwrap();
        let Command::Record(record::Record::Set(set)) = cli.command else { panic!("not set") };
        assert_eq!(set.waiting.wait_until.wait, Some(WaitFor::All));
        assert_eq!(set.data, ["60", "192.0.2.1"]);
    }
}
