//! From a request of hickory-server to its answer.

use std::cell::RefCell;

use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Header, HeaderCounts, Message, MessageType, Metadata, ResponseCode};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use zonecast_edge::{EdgeStates, Scratch, Transport};

/// What each thread keeps of what it has read, in bytes.
const CACHE: usize = 4 << 20;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::with_cache(CACHE));
}

/// Answers from the present state of an edge: wire to wire, then as the records that hickory-server encodes again.
#[derive(Clone, Debug)]
pub struct EdgeHandler {
    states: EdgeStates,
}

impl EdgeHandler {
    /// Of this edge; see [`DnsEdge::states`](zonecast_edge::DnsEdge::states).
    #[must_use]
    pub fn new(states: EdgeStates) -> Self {
        Self { states }
    }

    /// The answer, or `None` to something that gets none.
    fn answer(&self, request: &Request) -> Option<Message> {
        let transport = if request.protocol() == Protocol::Udp { Transport::UDP } else { Transport::Tcp };
        let mut wire = Vec::new();
        SCRATCH.with_borrow_mut(|scratch| {
            self.states.read().answer(scratch, request.as_slice(), transport, &mut wire);
        });
        Message::from_vec(&wire).ok()
    }
}

#[async_trait::async_trait]
impl RequestHandler for EdgeHandler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut handle: R) -> ResponseInfo {
        let Some(answer) = self.answer(request) else { return nothing(request) };
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &answer.edns {
            builder.edns(edns);
        }
        let Message { metadata, answers, authorities, additionals, .. } = &answer;
        let response = builder.build(*metadata, answers, authorities, [], additionals);
        match handle.send_response(response).await {
            Ok(info) => info,
            Err(_) => nothing(request),
        }
    }
}

/// What hickory-server logs about a request that gets no answer.
fn nothing(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    metadata.response_code = ResponseCode::ServFail;
    Header { metadata, counts: HeaderCounts::default() }.into()
}
