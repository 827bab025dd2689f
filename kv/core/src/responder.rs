//! How openraft tells the end of a proposal: by a call, or by letting go of it.

use crate::types::TypeConfig;

/// Calls back exactly once: with the result, or with `None` if raft stopped before there was one.
pub(crate) struct Responder<T> {
    done: Option<Box<dyn FnOnce(Option<T>) + Send>>,
}

impl<T> Responder<T> {
    pub(crate) fn new(done: impl FnOnce(Option<T>) + Send + 'static) -> Self {
        Self { done: Some(Box::new(done)) }
    }
}

impl<T: Send + 'static> openraft::raft::responder::Responder<TypeConfig, T> for Responder<T> {
    fn on_complete(mut self, result: T) {
        if let Some(done) = self.done.take() {
            done(Some(result));
        }
    }
}

impl<T> Drop for Responder<T> {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(None);
        }
    }
}
