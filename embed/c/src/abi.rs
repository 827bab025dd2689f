//! The functions of the header: each checks its pointers, catches panics and calls one method of [`CEdge`] or
//! [`CReader`], which know nothing of C.

use core::ffi::{CStr, c_char, c_int};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::edge::CEdge;
use crate::reader::CReader;

const ERROR_ARGUMENT: i32 = -1;
const ERROR_BUFFER: i32 = -2;
const ERROR_FAILED: i32 = -3;
const ERROR_INTERNAL: i32 = -4;

/// Opens an edge with the certificates of a folder; returns NULL and writes the reason to `error` if it cannot.
///
/// # Safety
/// `identity`, `upstreams` and `data` are NULL or strings; `error` is NULL or has room for `error_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zc_edge_open(
    identity: *const c_char,
    upstreams: *const c_char,
    data: *const c_char,
    error: *mut c_char,
    error_len: usize,
) -> *mut CEdge {
    // SAFETY: as the caller promises.
    let arguments = [identity, upstreams, data].map(|argument| unsafe { text(argument) });
    let opened = guarded(Err("a bug: it panicked".to_owned()), || {
        let [Some(identity), Some(upstreams), Some(data)] = arguments else {
            return Err("identity, upstreams and data must be strings in UTF-8".to_owned());
        };
        CEdge::open(identity, upstreams, data)
    });
    match opened {
        Ok(edge) => Box::into_raw(Box::new(edge)),
        Err(message) => {
            // SAFETY: as the caller promises.
            unsafe { put_text(&message, error, error_len) };
            core::ptr::null_mut()
        }
    }
}

/// Waits until the edge has applied what its core has: 1, or 0 after that time, or a result below zero.
///
/// # Safety
/// `edge` is NULL or from [`zc_edge_open`] and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zc_edge_wait(edge: *mut CEdge, milliseconds: u32) -> c_int {
    // SAFETY: as the caller promises.
    let Some(edge) = (unsafe { edge.as_ref() }) else { return ERROR_ARGUMENT };
    guarded(ERROR_INTERNAL, || match edge.wait(Duration::from_millis(milliseconds.into())) {
        Some(Ok(())) => 1,
        Some(Err(_)) => ERROR_FAILED,
        None => 0,
    })
}

/// The version that readers see; 0 while the edge is new.
///
/// # Safety
/// As [`zc_edge_wait`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zc_edge_version(edge: *const CEdge) -> u64 {
    // SAFETY: as the caller promises.
    let edge = unsafe { edge.as_ref() };
    edge.map_or(0, |edge| guarded(0, || edge.version()))
}

/// Closes and frees the edge; readers go on answering from their last state.
///
/// # Safety
/// As [`zc_edge_wait`]; nobody uses `edge` afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zc_edge_close(edge: *mut CEdge) {
    if !edge.is_null() {
        // SAFETY: it came from a box, and nobody uses it any more.
        let edge = unsafe { Box::from_raw(edge) };
        guarded((), || edge.close());
    }
}

/// Makes a reader for one thread with a cache of so many bytes, 0 for none.
///
/// # Safety
/// As [`zc_edge_wait`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zc_reader_new(edge: *const CEdge, cache_bytes: usize) -> *mut CReader {
    // SAFETY: as the caller promises.
    let Some(edge) = (unsafe { edge.as_ref() }) else { return core::ptr::null_mut() };
    guarded(core::ptr::null_mut(), || Box::into_raw(Box::new(CReader::new(edge.states(), cache_bytes))))
}

/// Frees a reader; NULL does nothing.
///
/// # Safety
/// `reader` is NULL or from [`zc_reader_new`] and not freed; nobody uses it afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zc_reader_free(reader: *mut CReader) {
    if !reader.is_null() {
        // SAFETY: it came from a box, and nobody uses it any more.
        let reader = unsafe { Box::from_raw(reader) };
        guarded((), || drop(reader));
    }
}

/// Holds the present state for a burst of queries, until [`zc_reader_end`].
///
/// # Safety
/// `reader` is NULL or from [`zc_reader_new`] and not freed, and no other thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zc_reader_begin(reader: *mut CReader) {
    // SAFETY: as the caller promises.
    if let Some(reader) = unsafe { reader.as_mut() } {
        guarded((), || reader.begin());
    }
}

/// Lets go of the state that [`zc_reader_begin`] holds.
///
/// # Safety
/// As [`zc_reader_begin`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zc_reader_end(reader: *mut CReader) {
    // SAFETY: as the caller promises.
    if let Some(reader) = unsafe { reader.as_mut() } {
        guarded((), || reader.end());
    }
}

/// Answers one query; returns the length of the answer, 0 for none, or a result below zero.
///
/// # Safety
/// As [`zc_reader_begin`]; `query` has `query_len` bytes, and `out` room for `out_len` bytes that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zc_answer(
    reader: *mut CReader,
    query: *const u8,
    query_len: usize,
    over_tcp: c_int,
    out: *mut u8,
    out_len: usize,
) -> i32 {
    // SAFETY: as the caller promises.
    let Some(reader) = (unsafe { reader.as_mut() }) else { return ERROR_ARGUMENT };
    if query.is_null() || out.is_null() {
        return ERROR_ARGUMENT;
    }
    // SAFETY: as the caller promises.
    let query = unsafe { core::slice::from_raw_parts(query, query_len) };
    let answered = guarded(Err(ERROR_INTERNAL), || {
        let answer = reader.answer(query, over_tcp != 0);
        let len = i32::try_from(answer.len()).map_err(|_| ERROR_INTERNAL)?;
        if answer.len() > out_len {
            return Err(ERROR_BUFFER);
        }
        // SAFETY: there is room, as just checked, and the reader's buffer is its own.
        unsafe { core::ptr::copy_nonoverlapping(answer.as_ptr(), out, answer.len()) };
        Ok(len)
    });
    answered.unwrap_or_else(|error| error)
}

/// What `run` gives; `otherwise` when it panics, which must not unwind into C.
fn guarded<T>(otherwise: T, run: impl FnOnce() -> T) -> T {
    // Whatever a panic leaves half done is a buffer that the next call clears.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(otherwise)
}

/// A string of C, if there is one and it is UTF-8.
///
/// # Safety
/// `text` is NULL or a string that outlives the result.
unsafe fn text<'t>(text: *const c_char) -> Option<&'t str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

/// Writes as much as fits, and the zero that ends it.
///
/// # Safety
/// `out` is NULL or has room for `len` bytes.
unsafe fn put_text(text: &str, out: *mut c_char, len: usize) {
    if out.is_null() || len == 0 {
        return;
    }
    let end = text.floor_char_boundary(len - 1);
    // SAFETY: `end` is less than `len`, for which there is room.
    unsafe { core::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, end) };
    // SAFETY: as above.
    let last = unsafe { out.add(end) };
    // SAFETY: as above.
    unsafe { last.write(0) };
}
