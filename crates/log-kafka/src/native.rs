//! The one call into librdkafka that its Rust wrapper lacks.
//!
//! The wrapper's administration client never polls the queue that token refreshes arrive on, so it
//! could not authenticate with OAUTHBEARER; it is given its token by hand instead.

#![allow(unsafe_code, reason = "a call into a C library")]

use rdkafka::bindings;
use rdkafka::client::{Client, ClientContext, OAuthToken};
use std::ffi::{CStr, CString};
use std::ptr;

const ERROR_BYTES: usize = 512;

/// Sets the token of a client that is not polled.
pub(crate) fn set_token<C: ClientContext>(
    client: &Client<C>,
    token: &OAuthToken,
) -> Result<(), String> {
    let value = CString::new(token.token.as_str()).map_err(|error| error.to_string())?;
    let principal = CString::new(token.principal_name.as_str()).map_err(|e| e.to_string())?;
    let mut error = [0; ERROR_BYTES];
    // SAFETY: the client lives as long as the borrow; both strings end with a zero and outlive the
    // call, which copies them; there are no extensions; the error buffer has the length given.
    let code = unsafe {
        bindings::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            token.lifetime_ms,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            error.as_mut_ptr(),
            ERROR_BYTES,
        )
    };
    if code == bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    // SAFETY: the call left a string that ends with a zero, or the zeros from before.
    let reason = unsafe { CStr::from_ptr(error.as_ptr()) };
    Err(reason.to_string_lossy().into_owned())
}
