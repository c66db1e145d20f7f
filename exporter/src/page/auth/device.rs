//! The cookie of a device that logged in before, by which it is told from others at its address.
//!
//! It lets nobody in: whoever sends it still needs the token. It holds random bytes and their HMAC-SHA256 (RFC 2104)
//! under a key that follows from the token, so nothing of it is remembered here, it outlives a restart, and it ends
//! with the token.

use getrandom::fill;
use ring::hmac;

use super::attempts::DEVICE_LEN;

/// The cookie's name.
pub(in crate::page) const NAME: &str = "weir_device";

/// What is authenticated begins with this.
const PURPOSE: &[u8] = b"weir page device 1";

/// Makes and checks cookies of devices.
pub(super) struct Devices(hmac::Key);

impl Devices {
    /// By the digest of the token.
    pub(super) fn new(token: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, token))
    }

    /// A new device's cookie; `None` where the system has no randomness.
    pub(super) fn issue(&self) -> Option<String> {
        let mut device = [0; DEVICE_LEN];
        fill(&mut device).ok()?;
        let tag = hmac::sign(&self.0, &[PURPOSE, &device].concat());
        Some([&device, tag.as_ref()].concat().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The device that has this cookie; `None` where none was given it.
    pub(super) fn of(&self, cookie: &str) -> Option<[u8; DEVICE_LEN]> {
        let (device, tag) = cookie.split_at_checked(2 * DEVICE_LEN)?;
        let device = <[u8; DEVICE_LEN]>::try_from(bytes(device)?).ok()?;
        hmac::verify(&self.0, &[PURPOSE, &device].concat(), &bytes(tag)?).ok()?;
        Some(device)
    }
}

/// The bytes of lowercase hex, of a cookie's length at most.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let fits = rest.is_empty() && pairs.len() <= 64;
    fits.then(|| pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cookie_that_was_given_out_under_the_same_token_is_a_device() {
        let devices = Devices::new(b"one");
        let cookie = devices.issue().unwrap();
        assert!(devices.of(&cookie).is_some());
        assert_ne!(devices.of(&cookie), devices.of(&devices.issue().unwrap()));
        // After a restart it is known still, under another token it is not.
        assert_eq!(Devices::new(b"one").of(&cookie), devices.of(&cookie));
        assert_eq!(Devices::new(b"two").of(&cookie), None);
        let mut changed = cookie.clone();
        changed.replace_range(0..1, if cookie.starts_with('0') { "1" } else { "0" });
        for other in
            [changed.as_str(), "", "00", cookie.split_at(40).0, &format!("{cookie}00"), &"zz".repeat(48), "é"]
        {
            assert_eq!(devices.of(other), None, "{other}");
        }
    }
}
