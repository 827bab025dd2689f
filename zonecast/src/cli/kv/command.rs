//! The commands of `zonecast kv`.

use clap::Subcommand;

use super::{groups, keys, keyspaces, watch};
use crate::cli::Context;
use zonecast_service::exit::Outcome;

/// See `zonecast kv --help`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Kv {
    /// Make a keyspace, or change the limits of one.
    Create(keyspaces::Create),
    /// List the keyspaces.
    Keyspaces,
    /// Drop a keyspace.
    Drop(keyspaces::Drop),
    /// Print the value of a key.
    Get(keys::Get),
    /// Put a key.
    Put(keys::Put),
    /// Delete a key.
    Delete(keys::Delete),
    /// List keys.
    List(keys::List),
    /// Do several changes all or not at all, if what they compare holds.
    Txn(keys::Txn),
    /// Print what changes, one line of JSON for each version.
    Watch(watch::Watch),
    /// Make a group of keys exactly these files, all at once.
    Publish(groups::Publish),
    /// Show the last changes of a group.
    Log(groups::Log),
    /// Restore an earlier state of a group.
    Rollback(groups::Rollback),
}

impl Kv {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Create(create) => create.run(context),
            Self::Keyspaces => keyspaces::list(context),
            Self::Drop(drop) => drop.run(context),
            Self::Get(get) => get.run(context),
            Self::Put(put) => put.run(context),
            Self::Delete(delete) => delete.run(context),
            Self::List(list) => list.run(context),
            Self::Txn(txn) => txn.run(context),
            Self::Watch(watch) => watch.run(context),
            Self::Publish(publish) => publish.run(context),
            Self::Log(log) => log.run(context),
            Self::Rollback(rollback) => rollback.run(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::cli::Cli;

    #[test]
    fn the_commands_of_keyspaces_are_understood() {
        Cli::command().debug_assert();
        let parse = |line: &str| Cli::try_parse_from(["zonecast", "kv"].into_iter().chain(line.split_whitespace()));
        for good in [
            "create rules --private --max-keys 10 --max-bytes 1000 --max-value 100",
            "keyspaces",
            "drop rules --with-keys",
            "get rules eu/1 --at edge",
            "put rules eu/1 value --if-revision 7 --wait all",
            "put rules eu/1 --file x --if-absent",
            "delete rules eu/1",
            "list rules --prefix eu/ --values",
            "txn rules -",
            "watch rules --from 7",
            "publish rules eu a b --allow-shrink --wait edge",
            "log rules eu",
            "rollback rules eu --to 7",
            "rollback rules eu --undo",
            "rollback rules eu --undo 7",
        ] {
            assert!(parse(good).is_ok(), "{good}: {:?}", parse(good).err());
        }
        for bad in [
            "create",
            "put rules eu/1",
            "put rules eu/1 value --file x",
            "put rules eu/1 value --if-revision 7 --if-absent",
            "publish rules eu",
            "rollback rules eu",
            "rollback rules eu --to 7 --undo",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
