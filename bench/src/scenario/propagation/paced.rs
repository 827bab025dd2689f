//! Changes at the times of a plan, whatever became of those before: a system that falls behind shows it.
//!
//! A change's time runs from when it was due, not from when it could be sent, so that waiting counts (what is left out
//! otherwise is known as coordinated omission).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::subject::{LIMIT, Subject, Writer};
use crate::generate::new_address;
use crate::probe::Probe;

/// Between two looks at what has not been seen yet.
const PAUSE: Duration = Duration::from_micros(200);

/// When each change is due.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// How many there are.
    pub(super) count: usize,
    /// So many are due at once.
    pub(super) burst: usize,
    /// Time from one burst to the next.
    pub(super) every: Duration,
    /// Number of the first change, so that no two plans make the same change.
    pub(super) first: usize,
}

impl Plan {
    fn due(self, index: usize) -> Duration {
        self.every * u32::try_from(index / self.burst.max(1)).unwrap_or(u32::MAX)
    }
}

/// For each change when it was due, and from then on until it was seen.
pub(super) type Times = Vec<(Duration, Duration)>;

/// Carries out a plan, over the subject's own connection and `others`, so many changes being on their way at most; the subject has one edge.
pub(super) fn run(subject: &Subject, others: Vec<Writer>, plan: Plan) -> anyhow::Result<Times> {
    let next = AtomicUsize::new(0);
    let (zone, edges, start) = (&subject.zone, &subject.edges, Instant::now());
    // Each sender takes the next change that nobody has taken.
    let send = |set: &dyn Fn(&str, usize) -> anyhow::Result<()>| -> anyhow::Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= plan.count {
                return Ok(());
            }
            thread::sleep((start + plan.due(index)).saturating_duration_since(Instant::now()));
            set(&zone.host(plan.first + index).0, plan.first + index)?;
        }
    };
    thread::scope(|scope| {
        let looking = scope.spawn(move || {
            let Some(edge) = edges.first() else { bail!("nobody to ask") };
            let name = |index| zone.host(plan.first + index).1;
            look(Probe::new(*edge)?, start, plan, name)
        });
        let senders: Vec<_> = others
            .into_iter()
            .map(|writer| {
                scope.spawn(move || send(&|host: &str, number| writer.set(&zone.apex, host, new_address(number))))
            })
            .collect();
        send(&|host: &str, number| subject.writer.set(&zone.apex, host, new_address(number)))?;
        for sender in senders {
            sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        }
        looking.join().map_err(|_| anyhow::anyhow!("the one who looks panicked"))?
    })
}

/// Asks for everything that is due and not seen yet, again and again.
fn look(mut probe: Probe, start: Instant, plan: Plan, name: impl Fn(usize) -> String) -> anyhow::Result<Times> {
    let mut times = Vec::with_capacity(plan.count);
    let mut waiting: Vec<(usize, String)> = Vec::new();
    let mut next = 0;
    while times.len() < plan.count {
        let now = start.elapsed();
        while next < plan.count && plan.due(next) <= now {
            waiting.push((next, name(next)));
            next += 1;
        }
        let names: Vec<&str> = waiting.iter().map(|(_, name)| name.as_str()).collect();
        let answers = probe.ask_all(&names)?;
        let mut answers = answers.into_iter();
        waiting.retain(|(index, _)| match answers.next().flatten() {
            Some((at, seen)) if seen == new_address(plan.first + index) => {
                let due = plan.due(*index);
                times.push((due, at.saturating_duration_since(start).saturating_sub(due)));
                false
            }
            _ => true,
        });
        if waiting.first().is_some_and(|(index, _)| now > plan.due(*index) + LIMIT) {
            bail!("{} of {} changes were not seen within {LIMIT:?}", waiting.len(), plan.count);
        }
        thread::sleep(PAUSE);
    }
    Ok(times)
}
