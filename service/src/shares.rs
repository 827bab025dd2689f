//! Places that names share, so that no name can take all: a request gets a place while more places are free than its
//! name holds.
//!
//! A name that is alone gets half of them, the next one half of what is left, and so on; so there is a place for a name
//! that holds none, until many names have taken what they can get. No number has to be chosen for it.
//!
//! Waiting requests are served in order, except those whose name holds too many places at the moment: they keep their
//! turn until the name returns one.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::who::Who;

/// A pool of places that several names share, so that no name can take all places. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    book: Mutex<Book<oneshot::Sender<Place>>>,
    given_back: Notify,
}

/// A place; it is given back when dropped.
#[derive(Debug)]
pub struct Place {
    shares: Shares,
    who: Who,
}

impl Shares {
    /// So many places.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Inner { book: Mutex::new(Book::new(places)), given_back: Notify::new() }))
    }

    /// A place, if there is one now.
    pub fn try_take(&self, who: &Who) -> Option<Place> {
        let taken = self.book().take(who);
        taken.then(|| self.place(who.clone()))
    }

    /// A place, as soon as it is this one's turn.
    pub async fn take(&self, who: &Who) -> Place {
        let (give, given) = oneshot::channel();
        {
            let mut book = self.book();
            // Those who went away while they waited; the others are as many as requests may be under way.
            book.waiting.retain(|(_, give)| !give.is_closed());
            book.waiting.push_back((who.clone(), give));
        }
        self.serve();
        given.await.expect("who waits stands in the book until it is served")
    }

    /// Waits until all places have come back.
    pub async fn all_back(&self) {
        loop {
            let mut given_back = pin!(self.0.given_back.notified());
            // From here on, so that none is missed that comes back after the look.
            given_back.as_mut().enable();
            if self.book().held.is_empty() {
                return;
            }
            given_back.await;
        }
    }

    /// Places that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.book().held.values().sum()
    }

    fn serve(&self) {
        loop {
            let next = self.book().next();
            let Some((who, give)) = next else { return };
            // Who has gone meanwhile gives it back at once, to the next one.
            let _ = give.send(self.place(who));
        }
    }

    fn place(&self, who: Who) -> Place {
        Place { shares: self.clone(), who }
    }

    fn book(&self) -> MutexGuard<'_, Book<oneshot::Sender<Place>>> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shares.book().give_back(&self.who);
        self.shares.serve();
        self.shares.0.given_back.notify_waiters();
    }
}

/// Who holds how many places, and who waits with what to be told by.
#[derive(Debug)]
struct Book<W> {
    free: usize,
    /// Names that hold some.
    held: BTreeMap<Who, usize>,
    waiting: VecDeque<(Who, W)>,
}

impl<W> Book<W> {
    fn new(places: usize) -> Self {
        Self { free: places, held: BTreeMap::new(), waiting: VecDeque::new() }
    }

    fn may(&self, who: &Who) -> bool {
        self.held.get(who).copied().unwrap_or_default() < self.free
    }

    fn take(&mut self, who: &Who) -> bool {
        let may = self.may(who);
        if may {
            self.free -= 1;
            *self.held.entry(who.clone()).or_default() += 1;
        }
        may
    }

    fn give_back(&mut self, who: &Who) {
        let Some(held) = self.held.get_mut(who) else { return };
        *held -= 1;
        self.free += 1;
        if *held == 0 {
            self.held.remove(who);
        }
    }

    /// Whose turn it is, with a place taken.
    fn next(&mut self) -> Option<(Who, W)> {
        let turn = self.waiting.iter().position(|(who, _)| self.may(who))?;
        let (who, waiter) = self.waiting.remove(turn)?;
        self.take(&who);
        Some((who, waiter))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn name(name: &str) -> Who {
        Who::Token(name.into())
    }

    fn take_all(book: &mut Book<u32>, who: &str) -> usize {
        std::iter::from_fn(|| book.take(&name(who)).then_some(())).count()
    }

    #[test]
    fn one_name_gets_half_and_the_next_ones_half_of_what_is_left() {
        for (places, shares) in [(1, &[1, 0][..]), (2, &[1, 1, 0]), (3, &[2, 1, 0]), (256, &[128, 64, 32, 16, 8])] {
            let mut book = Book::new(places);
            let names = ["a", "b", "c", "d", "e"];
            let taken: Vec<usize> = names.iter().take(shares.len()).map(|who| take_all(&mut book, who)).collect();
            assert_eq!(taken, shares, "of {places}");
        }
    }

    #[test]
    fn who_waits_is_served_in_the_order_of_coming_and_a_name_that_holds_much_later() {
        let mut book = Book::new(3);
        assert_eq!(take_all(&mut book, "a"), 2);
        for (who, number) in [("a", 1), ("a", 2), ("b", 3), ("c", 4), ("b", 5)] {
            book.waiting.push_back((name(who), number));
        }
        let next = |book: &mut Book<u32>| book.next().map(|(_, number)| number);
        assert_eq!((next(&mut book), next(&mut book)), (Some(3), None), "b has the last one");
        book.give_back(&name("a"));
        assert_eq!((next(&mut book), next(&mut book)), (Some(4), None), "a and b hold one and c none");
        book.give_back(&name("a"));
        assert_eq!((next(&mut book), next(&mut book)), (Some(1), None), "a holds none now, and has come first");
        book.give_back(&name("b"));
        assert_eq!(next(&mut book), Some(5));
        for who in ["a", "b", "c"] {
            book.give_back(&name(who));
        }
        assert_eq!((next(&mut book), book.free, book.held.len()), (Some(2), 2, 1));
    }

    #[tokio::test]
    async fn who_goes_away_while_it_waits_is_passed_over() {
        let (shares, a) = (Shares::new(1), name("a"));
        let held = shares.try_take(&a).unwrap();
        for _ in 0..1000 {
            let mut waiting = pin!(shares.take(&a));
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        assert!(shares.book().waiting.len() <= 1, "they are forgotten");
        let mut gone = Box::pin(shares.take(&a));
        let mut waiting = pin!(shares.take(&a));
        assert!(gone.as_mut().now_or_never().is_none() && waiting.as_mut().now_or_never().is_none());
        drop(gone);
        drop(held);
        let mut all_back = pin!(shares.all_back());
        assert!(all_back.as_mut().now_or_never().is_none());
        drop(waiting.await);
        all_back.await;
        assert_eq!(shares.book().free, 1);
    }
}
