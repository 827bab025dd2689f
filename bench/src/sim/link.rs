//! One packet from a node to another: half a round trip, and more if it is lost.

use super::delay::Delay;
use super::inputs::Inputs;

/// Milliseconds that a QUIC receiver may wait with an acknowledgement: `max_ack_delay` of RFC 9000, section 18.2.
const ACK_DELAY_MS: f64 = 25.0;

/// Packets that must be acknowledged after one that is missing before it counts as lost: RFC 9002, section 6.1.1.
const LATER_PACKETS: f64 = 3.0;

/// Equal parts into which the wait of those is cut that come behind a lost packet.
const PARTS: u32 = 4;

/// From one node to another, so many milliseconds of a round trip apart, with so many writes a second.
pub(super) fn way(round_trip: f64, writes: f64, inputs: &Inputs) -> Delay {
    let (there, again) = (round_trip / 2.0, until_sent_again(round_trip, writes));
    // Changes behind a lost packet wait for it, too: the stream is in order.
    let held_up = (inputs.loss * (writes * again / 1000.0).max(1.0)).min(1.0);
    let twice = held_up * inputs.loss;
    let part = |number: u32| Delay::exactly(there + again * f64::from(number) / f64::from(PARTS));
    let (late, lost_again) = ((1..=PARTS).map(part).collect::<Vec<_>>(), Delay::exactly(there + again * 3.0));
    let on_time = Delay::exactly(there);
    let mut all = vec![(1.0 - held_up, &on_time), (twice, &lost_again)];
    all.extend(late.iter().map(|delay| ((held_up - twice) / f64::from(PARTS), delay)));
    Delay::either(&all)
}

/// How long after a packet the same data is sent again if it was lost: when its probe timeout ends (RFC 9002, section
/// 6.2, with a round trip that varies by an eighth), or as soon as three later ones were acknowledged. A second loss
/// takes twice as long.
fn until_sent_again(round_trip: f64, writes: f64) -> f64 {
    let probe = round_trip + (round_trip / 2.0).max(1.0) + ACK_DELAY_MS;
    let later = round_trip + LATER_PACKETS * 1000.0 / writes.max(1e-3);
    probe.min(later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_loss_it_is_half_a_round_trip() {
        let way = way(80.0, 100.0, &Inputs { loss: 0.0, ..Inputs::default() });
        assert!((way.percentile(1.0) - 40.0).abs() < 1e-9 && (way.percentile(100.0) - 40.0).abs() < 1e-9);
    }

    #[test]
    fn a_lost_packet_holds_up_those_behind_it() {
        let inputs = Inputs { loss: 0.001, ..Inputs::default() };
        // 110 ms until it is sent again, 11 changes meanwhile: 1.1 % of all wait.
        let way = way(80.0, 100.0, &inputs);
        assert!((way.percentile(98.8) - 40.0).abs() < 1e-9);
        assert!(way.percentile(99.2) > 60.0);
        // Seldom, one that is sent again is lost, too.
        assert!((way.percentile(99.9999) - (40.0 + 3.0 * 110.0)).abs() < 1e-9);
    }

    #[test]
    fn many_writes_show_a_loss_sooner() {
        assert!((until_sent_again(80.0, 1.0) - 145.0).abs() < 1e-9);
        assert!((until_sent_again(80.0, 1_000.0) - 83.0).abs() < 1e-9);
    }
}
