//! One connection between a node and its upstream: bytes in flight both ways, read with the limits of either side.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::{Downstream, DownstreamInput, FrameDecoder, Peer};

pub(super) struct Wire {
    /// The place of the upstream among the nodes.
    pub(super) upstream: usize,
    /// The number of the connection at the upstream.
    pub(super) session: u64,
    pub(super) downstream: Downstream,
    /// Of the process below, as it said.
    pub(super) incarnation: u64,
    pub(super) connection: u64,
    pub(super) snapshot: Option<VecDeque<(Bytes, Bytes)>>,
    pub(super) up: VecDeque<u8>,
    pub(super) down: VecDeque<u8>,
    pub(super) up_decoder: FrameDecoder,
    pub(super) down_decoder: FrameDecoder,
    pub(super) answer: Option<DownstreamInput>,
    pub(super) is_closing: bool,
}

impl Wire {
    pub(super) fn new(now: Duration, upstream: usize, session: u64, below: &Peer) -> Self {
        Self {
            upstream,
            session,
            downstream: Downstream::new(now, below.name.clone()),
            incarnation: 0,
            connection: 0,
            snapshot: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            up_decoder: FrameDecoder::for_publisher(),
            down_decoder: FrameDecoder::new(),
            answer: None,
            is_closing: false,
        }
    }
}
