//! What makes a zone touches the section of its apex.

use zonecast_kv_proto::{MAX_BATCH_LEN, MemoryView};
use zonecast_records::Name;

use super::generator::apex;
use super::model::Model;
use super::{IDENTITY, build_at};
use crate::{creating, creation_section};

#[test]
fn every_creation_touches_the_section_of_its_apex_and_puts_the_same_keys() {
    let [upper, lower]: [Name; 2] = ["Example.COM", "example.com"].map(|name| name.parse().unwrap());
    assert_eq!(creation_section(&upper), creation_section(&lower));
    assert_ne!(creation_section(&upper), creation_section(&"example.org".parse().unwrap()));

    let batches = || build_at(IDENTITY, &Model::new(apex())).unwrap().into_batches(MAX_BATCH_LEN);
    let (mut plain, mut made) = (MemoryView::new(), MemoryView::new());
    for batch in batches() {
        plain.apply(&batch);
        let making = creating(batch, &apex());
        assert!(making.sections.iter().any(|section| section.id == creation_section(&apex())));
        made.apply(&making);
    }
    assert!(plain.entries().eq(made.entries()));
}
