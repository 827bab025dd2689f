//! What subjects took while they were asked, in turns.

use std::time::Duration;

use super::subject::Subject;
use crate::bench::Bench;
use crate::dnsperf::Dnsperf;
use crate::figure::Figure;
use crate::process;

/// CPU per query in microseconds, and queries per second, of each round.
#[derive(Default)]
pub(super) struct Course {
    cost: Vec<f64>,
    rate: Vec<f64>,
    answered: f64,
    lost: f64,
}

impl Course {
    /// Asks each of the subjects in each round, after a second that does not count.
    pub(super) fn of_all(bench: &mut Bench, work: &str, asked: &[(&Subject, &Dnsperf)]) -> anyhow::Result<Vec<Self>> {
        let (rounds, seconds) = bench.size.pick((1, 1), (3, 5), (5, 20));
        let mut courses: Vec<Self> = asked.iter().map(|_| Self::default()).collect();
        for (subject, dnsperf) in asked {
            dnsperf.run(subject.address()?, Duration::from_secs(1))?;
        }
        for round in 1..=rounds {
            bench.say(&format!("{work}: round {round} of {rounds}"));
            for ((subject, dnsperf), course) in asked.iter().zip(&mut courses) {
                course.round(subject, dnsperf, Duration::from_secs(seconds))?;
            }
        }
        Ok(courses)
    }

    /// Asks one subject for a while.
    pub(super) fn round(&mut self, subject: &Subject, dnsperf: &Dnsperf, time: Duration) -> anyhow::Result<()> {
        let pid = subject.pid()?;
        let before = process::cpu_time(pid);
        let asked = dnsperf.run(subject.address()?, time)?;
        let spent = process::cpu_time(pid).saturating_sub(before);
        self.cost.push(spent.as_secs_f64() * 1e6 / asked.answered.max(1.0));
        self.rate.push(asked.rate);
        self.answered += asked.answered;
        self.lost = self.lost.max(asked.lost_percent);
        Ok(())
    }

    pub(super) fn cost(&self, subject: &Subject, work: &str) -> Figure {
        subject.figure(work, "CPU per query").values(&self.cost, "us").samples(self.samples())
    }

    /// Of each round what is left of the cost without the cost of the batched echo in the same round: what the server
    /// does besides moving packets.
    pub(super) fn above(&self, echo: &Self, subject: &Subject, work: &str) -> Figure {
        let above: Vec<f64> = self.cost.iter().zip(&echo.cost).map(|(cost, echo)| cost - echo).collect();
        let figure = subject.figure(work, "CPU per query above the batched UDP echo");
        figure.values(&above, "us").samples(self.samples())
    }

    pub(super) fn rate(&self, subject: &Subject, work: &str) -> Figure {
        let rate = subject.figure(work, "queries per second").values(&self.rate, "1/s").samples(self.samples());
        let rate = rate.more_is_better();
        if self.lost > 0.1 { rate.note(format!("{:.1} % lost", self.lost)) } else { rate }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of queries")]
    fn samples(&self) -> usize {
        self.answered as usize
    }
}
