//! Which data folder a command works on that needs no running core.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use clap::Args;
use rustix::process::geteuid;

use crate::config::{self, CoreFile};
use crate::roles::DataFolder;
use zonecast_service::exit::{Code, Failure, Outcome};

/// The data folder of a core that does not run.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Place {
    /// Data folder of the core, which must not run.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration file of the core: its data folder is used.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// Locks the folder, made if it is missing.
    ///
    /// # Errors
    /// A process works on it, or it belongs to somebody else, who could not use what is made in it.
    pub(super) fn open(&self) -> Outcome<DataFolder> {
        let path = self.path()?;
        if let Ok(folder) = path.metadata()
            && folder.uid() != geteuid().as_raw()
        {
            let (path, owner) = (path.display(), folder.uid());
            return Err(Failure::new(
                Code::Unreadable,
                format_args!(
                    "{path} belongs to the user with the id {owner}, who must be able to use what is made in it: run this \
                     as that user, as with `sudo -u zonecast`"
                ),
            ));
        }
        DataFolder::open(&path)
    }

    /// The same for a folder that is there.
    pub(super) fn open_present(&self) -> Outcome<DataFolder> {
        let path = self.path()?;
        path.metadata().map_err(|error| Failure::io("use data folder", &path, &error))?;
        self.open()
    }

    fn path(&self) -> Outcome<PathBuf> {
        match (&self.data, &self.config) {
            (Some(data), _) => Ok(data.clone()),
            (None, Some(file)) => Ok(config::read::<CoreFile>(file)?.data),
            (None, None) => Err(Failure::usage("which data folder? --data DIR or --config FILE")),
        }
    }
}
