//! A core that is alone verifies itself.

use std::time::{Duration, Instant};

use zonecast_api::types::{VerificationInfo, VerifiedState};
use zonecast_kv_proto::Verification;

use crate::test_service::TestService;
use crate::who::Who;

/// Far more than any of this takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn until_over(test: &TestService) -> VerificationInfo {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let info = test.runtime().block_on(test.service().verification()).unwrap();
        if info.state != VerifiedState::Running {
            return info;
        }
        assert!(Instant::now() < deadline, "it is never over: {info:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_core_alone_is_compared_with_itself_and_what_it_comes_to_is_in_the_store() {
    let test = TestService::start();
    test.put_zone("example.com", b"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n");
    let last = || Verification::read(&test.service().core().view()).unwrap();
    assert_eq!(test.runtime().block_on(test.service().verification()).unwrap(), VerificationInfo::default());
    assert_eq!(last().marker, None, "nobody has asked, and it is not due");
    for number in 1..3 {
        let before = test.service().core().position().version.get();
        let begin = || test.runtime().block_on(test.service().begin_verification(&Who::default())).unwrap();
        assert_eq!(begin().number, number);
        let info = until_over(&test);
        let agreed = info.agreed.unwrap();
        assert_eq!((info.state, info.version), (VerifiedState::Equal, Some(before + 1)));
        assert_eq!((agreed.agreeing, agreed.voters, info.nodes.len()), (1, 1, 1));
        let deadline = Instant::now() + PATIENCE;
        while last().present_agreement().is_none() {
            assert!(Instant::now() < deadline, "what voters agree on is not committed");
            std::thread::yield_now();
        }
        assert_eq!(last().present_agreement().unwrap().keys, agreed.keys);
        assert_eq!(test.service().core().position().version.get(), before + 2);
    }
    test.stop();
}
