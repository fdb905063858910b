//! What this crate's errors say: part of a sentence, so that others can be built of it.

use flue_std::{Payload, RecvTimeoutError, SendError, SendPayloadTimeoutError, SendTimeoutError};
use std::error::Error;

#[test]
fn errors_are_lower_case_without_a_full_stop() {
    let late = SendPayloadTimeoutError::Timeout(Payload::from(&b"Payload."[..]));
    let errors: [Box<dyn Error>; 5] = [
        Box::new(RecvTimeoutError::Timeout),
        Box::new(RecvTimeoutError::Dead),
        Box::new(SendTimeoutError::Timeout),
        Box::new(SendTimeoutError::Failed(SendError::Closed)),
        Box::new(late),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 5 && text == text.trim(), "{text:?}");
        assert_eq!(text, text.to_lowercase());
        assert!(!text.ends_with(['.', '!', ':', ',']), "{text}");
    }
}
