//! Other people's DNS servers, each started in its own folder on its own port.

mod bind;
mod knot;
mod nsd;
mod powerdns;
mod running;
mod software;

pub use running::{Peer, PeerError};
pub use software::Software;
