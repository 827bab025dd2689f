//! The messages of a transfer: they come back as they were written, and nothing else is one.

use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    Epoch, Head, MAX_PIECE, MAX_STATE_FILE_NAME, MAX_STATE_FILES, MAX_TRANSFER_LEN, Position, StateFile, StateManifest,
    StateMessage, StatePlace, StoreId, TransferError,
};

fn head() -> Head {
    let position = Position { epoch: Epoch::new(3), ..Position::origin(StoreId::new(9)) };
    Head { position, next_id: 77, ..Head::default() }
}

fn file() -> impl Strategy<Value = StateFile> {
    ("[0-9A-Z.-]{0,29}", any::<u64>()).prop_map(|(name, len)| StateFile { name, len })
}

fn place() -> impl Strategy<Value = StatePlace> {
    (any::<u32>(), any::<u64>()).prop_map(|(file, offset)| StatePlace { file, offset })
}

fn some_bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn message() -> impl Strategy<Value = StateMessage> {
    let applied = prop::option::of(prop::collection::vec(any::<u8>(), 1..30).prop_map(Bytes::from));
    prop_oneof![
        (any::<u128>(), prop::collection::vec(file(), 0..5), applied).prop_map(|(id, files, applied)| {
            StateMessage::Manifest(StateManifest { id, files, applied, head: head() })
        }),
        place().prop_map(StateMessage::Resume),
        (place(), some_bytes()).prop_map(|(place, bytes)| StateMessage::Piece { place, bytes }),
        (any::<u32>(), any::<[u8; 32]>()).prop_map(|(file, hash)| StateMessage::FileEnd { file, hash }),
        Just(StateMessage::End),
        Just(StateMessage::Done),
        ".{0,50}".prop_map(|reason| StateMessage::Failed { reason }),
    ]
}

proptest! {
    #[test]
    fn a_message_comes_back_and_no_part_of_it_is_one(message in message(), cut: prop::sample::Index, bit: prop::sample::Index) {
        let wire = message.to_bytes();
        prop_assert_eq!(StateMessage::from_bytes(&wire).unwrap(), message);
        prop_assert!(StateMessage::from_bytes(&wire[..cut.index(wire.len())]).is_err());
        prop_assert!(StateMessage::from_bytes(&[&wire[..], &[0]].concat()).is_err());
        let mut flipped = wire.to_vec();
        let bit = bit.index(wire.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = StateMessage::from_bytes(&flipped);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100), short in 0..16_u8) {
        let _ = StateMessage::from_bytes(&bytes);
        let _ = StateMessage::from_bytes(&[&[0x90 | short, 1], &bytes[..]].concat());
    }
}

#[test]
fn the_largest_messages_are_within_the_limit_and_larger_ones_are_refused() {
    let name = "9".repeat(MAX_STATE_FILE_NAME);
    let manifest = |name: &str, files| StateManifest {
        id: u128::MAX,
        files: vec![StateFile { name: name.to_owned(), len: u64::MAX }; files],
        applied: Some(Bytes::from_static(&[0xff; 24])),
        head: head(),
    };
    let read = |message: StateMessage| {
        let wire = message.to_bytes();
        (wire.len(), StateMessage::from_bytes(&wire))
    };
    let (len, largest) = read(StateMessage::Manifest(manifest(&name, MAX_STATE_FILES)));
    assert!(largest.is_ok() && len <= MAX_TRANSFER_LEN, "{len}: {largest:?}");
    assert!(read(StateMessage::Manifest(manifest(&name, MAX_STATE_FILES + 1))).1.is_err());
    assert!(matches!(read(StateMessage::Manifest(manifest(&(name + "9"), 1))).1, Err(TransferError::Bounds(_))));
    let piece = |len| read(StateMessage::Piece { place: StatePlace::default(), bytes: vec![0xff; len].into() }).1;
    assert!(piece(MAX_PIECE).is_ok());
    assert!(matches!(piece(MAX_PIECE + 1), Err(TransferError::Bounds(_))));
    assert!(matches!(piece(MAX_TRANSFER_LEN), Err(TransferError::TooLong(_))));
    // A reason is cut where a letter ends.
    let (_, cut) = read(StateMessage::failed(&"ä".repeat(1000)));
    assert!(matches!(cut, Ok(StateMessage::Failed { reason }) if reason == "ä".repeat(512)));
}

#[test]
fn later_releases_are_told_apart_from_damage() {
    assert!(matches!(StateMessage::from_bytes(&[0x92, 2, 5]), Err(TransferError::Format(2))));
    assert!(matches!(StateMessage::from_bytes(&[0x92, 1, 99]), Err(TransferError::Kind(99))));
    assert!(matches!(StateMessage::from_bytes(&[0x92, 1, 4]), Err(TransferError::Hash(0))));
    assert!(matches!(StateMessage::from_bytes(b"x"), Err(TransferError::Syntax(_))));
}
