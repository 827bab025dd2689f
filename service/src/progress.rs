//! Progress of long work on standard error: a bar on a terminal, else a plain line now and then.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two plain lines; work shorter than this shows none.
const PLAIN_PERIOD: Duration = Duration::from_secs(5);

/// Between two drawings of the elapsed time.
const TICK: Duration = Duration::from_millis(200);

/// Counts towards a known or growing total.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    done: AtomicU64,
    total: AtomicU64,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Starts at zero of `total`; `unit` names what is counted.
    #[must_use]
    pub fn new(what: &'static str, unit: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
            let template = format!("{what} {{bar:30}} {{human_pos}}/{{human_len}} {unit} {{elapsed}} (left {{eta}})");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style);
            }
            // One large zone is one step; the time shows that it is alive.
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { what, bar, done: AtomicU64::new(0), total: AtomicU64::new(total), last_line: Mutex::new(Instant::now()) }
    }

    /// That many more are done.
    pub fn add(&self, count: u64) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            return;
        }
        let Ok(mut last) = self.last_line.try_lock() else { return };
        if last.elapsed() >= PLAIN_PERIOD {
            *last = Instant::now();
            tracing::info!(done, total = self.total.load(Ordering::Relaxed), "{}", self.what);
        }
    }

    /// That many more are to be done than was known.
    pub fn expect(&self, more: u64) {
        self.total.fetch_add(more, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.inc_length(more);
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
