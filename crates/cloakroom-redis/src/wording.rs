//! fred's error texts in plain words: fred formats the errors of sockets and of TLS with `Debug`.

/// Returns the text of an error without the forms of `Debug`.
pub(crate) fn plain(text: &str) -> String {
    if let Some(problem) = certificate_problem(text) {
        return format!("the server's certificate is not trusted: {problem}");
    }
    if is_about_client_certificate(text) {
        return "the server rejects the client's certificate, or requires one".to_owned();
    }
    if let Some(alert) = inside(text, "AlertReceived(", ")") {
        return format!("the server closed the TLS connection with the alert {alert}");
    }
    if speaks_no_tls(text) {
        return "the server's reply is not one of TLS".to_owned();
    }
    // `Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }`
    if let Some(message) = inside(text, "message: \"", "\"") {
        return without_capital(message);
    }
    // `Custom { kind: Uncategorized, error: "failed to lookup address information: …" }`
    if let Some(message) = inside(text, "error: \"", "\"") {
        return without_capital(message);
    }
    // `Kind(UnexpectedEof)`
    if text.contains("UnexpectedEof") || text.contains("ConnectionReset") {
        return "the server closed the connection".to_owned();
    }
    let is_debug = ["Kind(", "Custom {", "Os {", "Error {"]
        .iter()
        .any(|form| text.starts_with(form));
    if is_debug {
        return "the connection failed".to_owned();
    }
    text.to_owned()
}

/// What is wrong with the server's certificate, and what to do about it, if rustls rejected it.
fn certificate_problem(text: &str) -> Option<&'static str> {
    const NOT_ISSUED: &str = "no trusted authority has issued it; trust its authority with `with_tls_ca`, or the \
                              certificate itself with `with_tls_pin`";
    // The names of rustls' `CertificateError` and of webpki's `Error`. A few have fields, and a variant with
    // `Context` in its name.
    const PROBLEMS: [(&str, &str); 9] = [
        (
            "CaUsedAsEndEntity",
            "it is a certificate authority's own (self-signed); trust it with `with_tls_pin` instead of \
             `with_tls_ca`",
        ),
        ("UnknownIssuer", NOT_ISSUED),
        // An authority of the same name has issued it.
        ("BadSignature", NOT_ISSUED),
        (
            "NotValidForName",
            "it is for another host; if that is the right one, name it with `with_tls_server_name`",
        ),
        (
            "ApplicationVerificationFailure",
            "neither it nor its public key has a fingerprint that was given to `with_tls_pin`",
        ),
        ("Expired", "it has expired"),
        (
            "NotValidYet",
            "it is not valid yet; check the clocks of both machines",
        ),
        ("Revoked", "it was revoked"),
        ("InvalidPurpose", "it is not one for servers"),
    ];
    let (_, problem) = text.split_once("InvalidCertificate(")?;
    let known = PROBLEMS.iter().find(|(name, _)| problem.contains(name));
    Some(known.map_or("it is invalid", |(_, problem)| *problem))
}

/// Whether the server closed the TLS connection because of the client's certificate: rustls quotes the
/// server's alert in its error.
pub(crate) fn is_about_client_certificate(text: &str) -> bool {
    // `DecryptError` is sent for a certificate that claims an authority which did not sign it.
    const ALERTS: [&str; 3] = ["UnknownCA", "Certificate", "DecryptError"];
    let alert = inside(text, "AlertReceived(", ")");
    alert.is_some_and(|alert| ALERTS.iter().any(|about| alert.contains(about)))
}

/// Whether rustls read something else than TLS.
pub(crate) fn speaks_no_tls(text: &str) -> bool {
    text.contains("InvalidMessage(")
}

/// The part of `text` between `start` and the next `end`.
fn inside<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

fn without_capital(text: &str) -> String {
    let mut signs = text.chars();
    let first = signs.next().into_iter().flat_map(char::to_lowercase);
    first.chain(signs).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Error as IoError, ErrorKind};

    use super::*;

    #[test]
    fn the_errors_of_sockets_are_plain() {
        let custom = IoError::other("failed to lookup address information: unknown");
        for (error, expected) in [
            (IoError::from_raw_os_error(111), "connection refused"),
            (custom, "failed to lookup address information: unknown"),
            (
                IoError::from(ErrorKind::UnexpectedEof),
                "the server closed the connection",
            ),
            (IoError::from(ErrorKind::Other), "the connection failed"),
        ] {
            let debug = format!("{error:?}");
            // The number of an error is the system's own.
            if cfg!(target_os = "linux") || error.raw_os_error().is_none() {
                assert_eq!(plain(&debug), expected, "{debug}");
            }
        }
        let unchanged = "NOAUTH Authentication required.";
        assert_eq!(plain(unchanged), unchanged);
    }

    #[test]
    fn the_errors_of_certificates_name_the_remedy() {
        for (error, expected) in [
            ("InvalidCertificate(UnknownIssuer)", "with_tls_ca"),
            ("InvalidCertificate(BadSignature)", "with_tls_ca"),
            (
                "InvalidCertificate(NotValidForNameContext { expected: DnsName(\"a\"), presented: [] })",
                "with_tls_server_name",
            ),
            (
                "InvalidCertificate(Other(OtherError(CaUsedAsEndEntity)))",
                "with_tls_pin",
            ),
            (
                "InvalidCertificate(ApplicationVerificationFailure)",
                "with_tls_pin",
            ),
            ("InvalidCertificate(ExpiredContext { time: 1 })", "expired"),
            ("InvalidCertificate(NotValidYet)", "clocks"),
            ("InvalidCertificate(BadEncoding)", "it is invalid"),
        ] {
            let text = plain(&format!("Custom {{ kind: InvalidData, error: {error} }}"));
            assert!(text.starts_with("the server's certificate is not trusted: "));
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains(['{', '(']) || text.contains("(self-signed)"));
        }
        let alert = "Custom { kind: InvalidData, error: AlertReceived(CertificateRequired) }";
        assert!(plain(alert).contains("client's certificate"));
        let other = "Custom { kind: InvalidData, error: AlertReceived(ProtocolVersion) }";
        assert!(plain(other).ends_with("with the alert ProtocolVersion"));
    }
}
