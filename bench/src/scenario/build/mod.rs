//! Loading large zones (T7) and changing records in them (T8).

mod load;
mod record;
mod run;

pub(crate) use run::run;
