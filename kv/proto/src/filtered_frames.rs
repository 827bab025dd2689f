//! Versions as a downstream with a filter gets them: frames without what its filter does not hold.

use bytes::{Bytes, BytesMut};

use crate::skipped::Runs;
use crate::{Filter, Frame, FrameDecoder, Published, SkippedRun};

/// Bytes that are no version, where there should be one.
#[derive(Debug)]
pub(crate) struct NoVersion;

/// Encoded versions, in order, without what a filter does not hold.
pub(crate) fn filtered_frames(filter: &Filter, versions: Vec<Bytes>) -> Result<Vec<Bytes>, NoVersion> {
    let (mut out, mut runs) = (BytesMut::new(), Runs::default());
    let put = |out: &mut BytesMut, run: Option<SkippedRun>| {
        if let Some(run) = run {
            Frame::Skipped(run).encode(out);
        }
    };
    for bytes in versions {
        let version = Published::from_bytes(&bytes).map_err(|_| NoVersion)?;
        let filtered = version.filtered(filter);
        if Runs::takes(&filtered) {
            put(&mut out, runs.push(filtered));
            continue;
        }
        put(&mut out, runs.take());
        // What a later release appended to a version of which nothing is left out stays.
        let bytes = if filtered.omitted.len() == version.omitted.len() { bytes } else { filtered.to_bytes() };
        Frame::Version(bytes).encode(&mut out);
    }
    put(&mut out, runs.take());
    Ok(vec![out.freeze()])
}

/// The versions in frames that hold nothing else.
pub(crate) fn versions_of(frames: &[Bytes]) -> Result<Vec<Bytes>, NoVersion> {
    let (mut decoder, mut versions) = (FrameDecoder::new(), Vec::with_capacity(frames.len()));
    for bytes in frames {
        decoder.push(bytes);
        while let Some(frame) = decoder.poll().map_err(|_| NoVersion)? {
            let Frame::Version(version) = frame else { return Err(NoVersion) };
            versions.push(version);
        }
    }
    Ok(versions)
}
