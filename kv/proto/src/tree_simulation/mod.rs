//! A core, relays and edges in one thread, with wires between them that delay, cut and lose, nodes that crash, lose their
//! power or hang, a core that is restored, and a seed for it all.

mod disk;
mod history;
mod hub;
mod invariants;
mod node;
mod runs;
mod tree;
mod wire;
