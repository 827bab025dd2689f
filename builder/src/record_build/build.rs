//! All steps, one after the other.

use domain::base::Serial;
use zonecast_kv_proto::{Batch, View};
use zonecast_records::Name;

use super::reached::Reached;
use super::touched::{RecordCounts, Touched};
use crate::change::{Change, ChangeError, SerialTime};
use crate::finding::{Findings, Warning};
use crate::read_error::ReadError;
use crate::reader::Reader;
use crate::undo::Undo;
use crate::zone_keys::PresentZone;

/// The result of a record build.
#[derive(Clone, Debug)]
pub struct RecordBuild {
    /// Makes the present keys those of the changed zone; empty when nothing changed.
    pub batch: Batch,
    /// Serial of the zone afterwards.
    pub serial: Serial,
    /// Warnings about the names of the changes.
    pub warnings: Findings<Warning>,
    /// The inverse of the batch.
    pub undo: Undo,
    /// Whether the zone already had the result of the changes.
    pub unchanged: bool,
    /// How many records the zone had, and has afterwards.
    pub records: RecordCounts,
}

/// Turns changes to the zone at `apex`, done in order and as one, into a batch. The location of a finding is the place
/// of its change in the list. `now` is for zones whose serials show the time.
///
/// # Errors
/// The changed zone would break a rule, the present keys could not be read, or the change is too large for a batch.
pub fn record_build(
    view: &dyn View,
    apex: &Name,
    changes: &[Change],
    now: SerialTime,
) -> Result<RecordBuild, ChangeError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let mut touched = Touched::by(Reader::new(view, &zone), &zone, changes)?;
    let serial = touched.raise_serial(zone.settings.zone().serial, now)?;
    let mut undo = Undo::new(zone.shape.identity, &zone.keys.published, serial.into_int());
    if touched.is_unchanged() {
        let records = RecordCounts { before: zone.tally.records, after: zone.tally.records };
        let (batch, warnings) = (Batch::default(), touched.finish()?);
        return Ok(RecordBuild { batch, serial, warnings, undo, unchanged: true, records });
    }
    let records = touched.count_records(&zone)?;
    let emitted = Reached::from(touched)?.settle()?.emit()?;
    let batch = emitted.batch(&zone, records.after, &mut undo)?;
    let warnings = emitted.finish()?;
    Ok(RecordBuild { batch, serial, warnings, undo, unchanged: false, records })
}
