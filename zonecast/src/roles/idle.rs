//! Which connections have no request under way, and since when: those that may go when there are too many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The idle connections in the order in which they became idle; to make room, the book closes the oldest first.
#[derive(Debug, Default)]
pub(super) struct IdleBook(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    /// In the order in which they became idle.
    idle: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

/// The place of one connection. It begins idle; its last owner takes it out of the book.
#[derive(Debug)]
pub(super) struct Seat {
    book: Arc<IdleBook>,
    close: Arc<Notify>,
    /// Its number while it is idle. Locked before the book.
    idle: Mutex<Option<u64>>,
}

/// A request under way; the connection is idle again when this is dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Seat>);

impl IdleBook {
    /// A connection that has just come.
    pub(super) fn sit(self: &Arc<Self>) -> Seat {
        let seat = Seat { book: Arc::clone(self), close: Arc::default(), idle: Mutex::default() };
        seat.rest();
        seat
    }

    /// Tells the connection that is idle longest to close; says no when none is.
    pub(super) fn close_oldest(&self) -> bool {
        let oldest = self.pages().idle.pop_first();
        oldest.is_some_and(|(_, close)| {
            close.notify_one();
            true
        })
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A request has come.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        if let Some(number) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.book.pages().idle.remove(&number);
        }
        Busy(Arc::clone(self))
    }

    /// Waits until the connection is to close.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    fn rest(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pages = self.book.pages();
        let number = pages.next;
        pages.next += 1;
        pages.idle.insert(number, Arc::clone(&self.close));
        *idle = Some(number);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(number) = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            self.book.pages().idle.remove(&number);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_goes_first_and_the_busy_stay() {
        let book = Arc::new(IdleBook::default());
        let seats: Vec<Arc<Seat>> = (0..3).map(|_| Arc::new(book.sit())).collect();
        let order = || book.pages().idle.keys().copied().collect::<Vec<_>>();
        let busy = seats[0].busy();
        assert_eq!(order(), [1, 2]);
        drop(busy);
        assert_eq!(order(), [1, 2, 3], "it is the youngest now");
        let busy = seats[1].busy();
        assert!(book.close_oldest());
        assert_eq!(order(), [3]);
        assert!(book.close_oldest());
        assert!(!book.close_oldest(), "the one that is left is busy");
        drop((seats, busy));
        assert!(order().is_empty(), "nothing is left behind");
    }
}
