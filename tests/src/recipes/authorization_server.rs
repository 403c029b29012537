//! A provider without HTTP: its code is the challenge, so that PKCE can be checked.

use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use url::form_urlencoded;

/// Its issuer.
pub const ISSUER: &str = "https://accounts.example";

/// The address to which the app redirects.
#[must_use]
pub fn authorization_url(state: &str, challenge: &PkceCodeChallenge) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("state", state)
        .append_pair("code_challenge", challenge.as_str())
        .finish();
    format!("{ISSUER}/authorize?{query}")
}

/// Exchanges a code: the user, if the verifier is that of the challenge.
#[must_use]
pub fn exchange(code: &str, verifier: &PkceCodeVerifier) -> Option<String> {
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(verifier);
    (challenge.as_str() == code).then(|| "ada".to_owned())
}
