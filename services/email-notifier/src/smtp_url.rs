//! `SMTP_URL`: where the relay is and how it is trusted.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::{Host, Url};

/// A relay's address. `Debug` shows neither user nor password.
#[derive(Clone)]
pub struct SmtpUrl {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) credentials: Option<(String, SecretString)>,
    /// The name in EHLO; the machine's own where there is none.
    pub(crate) hello: Option<String>,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// Not at all.
    Clear,
    /// STARTTLS where the relay offers it (`tls=opportunistic`).
    Opportunistic,
    /// STARTTLS, or nothing is sent (`tls=required`).
    Starttls,
    /// TLS from the first byte (`smtps`).
    Implicit,
}

impl Security {
    /// RFC 5321 §4.5.4.2, RFC 6409 §3.1, RFC 8314 §3.3.
    const fn default_port(self) -> u16 {
        match self {
            Self::Clear => 25,
            Self::Opportunistic | Self::Starttls => 587,
            Self::Implicit => 465,
        }
    }
}

/// The text is no relay's address. It says why without repeating it, for it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSmtpUrl(&'static str);

impl SmtpUrl {
    /// `host:port`.
    pub fn server(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl FromStr for SmtpUrl {
    type Err = InvalidSmtpUrl;

    fn from_str(text: &str) -> Result<Self, InvalidSmtpUrl> {
        let url = Url::parse(text).ok().ok_or(InvalidSmtpUrl(
            "must be a URL such as smtp://127.0.0.1:1025 or smtps://user:password@host:465",
        ))?;
        let security = security(&url)?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(InvalidSmtpUrl("names no host"))?;
        let credentials = credentials(&url)?;
        let exposed = matches!(security, Security::Clear | Security::Opportunistic);
        if credentials.is_some() && exposed && !is_loopback(host) {
            return Err(InvalidSmtpUrl(
                "would show the password to the network: use smtps:// or ?tls=required",
            ));
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(security.default_port()),
            security,
            credentials,
            hello: hello(&url)?,
        })
    }
}

fn security(url: &Url) -> Result<Security, InvalidSmtpUrl> {
    if url.fragment().is_some() {
        return Err(InvalidSmtpUrl("must have no #; write it as %23"));
    }
    let parameters: Vec<_> = url.query_pairs().collect();
    let tls = match parameters.as_slice() {
        [] => None,
        [(name, value)] if name == "tls" => Some(value.as_ref()),
        _ => return Err(InvalidSmtpUrl("knows one parameter, tls")),
    };
    match (url.scheme(), tls) {
        ("smtps", None) => Ok(Security::Implicit),
        ("smtp", None) => Ok(Security::Clear),
        ("smtp", Some("required")) => Ok(Security::Starttls),
        ("smtp", Some("opportunistic")) => Ok(Security::Opportunistic),
        ("smtp", Some(_)) => Err(InvalidSmtpUrl("tls must be required or opportunistic")),
        ("smtps", Some(_)) => Err(InvalidSmtpUrl("smtps is TLS already and takes no tls=")),
        _ => Err(InvalidSmtpUrl("must begin with smtp:// or smtps://")),
    }
}

fn credentials(url: &Url) -> Result<Option<(String, SecretString)>, InvalidSmtpUrl> {
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().ok();
        text.map(String::from)
            .ok_or(InvalidSmtpUrl("user and password must be UTF-8"))
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err(InvalidSmtpUrl("has a password without a user")),
        (_, None) => Err(InvalidSmtpUrl("has a user without a password")),
        (user, Some(password)) => Ok(Some((decoded(user)?, decoded(password)?.into()))),
    }
}

fn hello(url: &Url) -> Result<Option<String>, InvalidSmtpUrl> {
    let name = url.path().trim_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    match (name.is_empty(), name.bytes().all(plain)) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(name.to_owned())),
        (false, false) => Err(InvalidSmtpUrl("has a path that is no host name for EHLO")),
    }
}

fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Ok(Host::Domain(name)) => name == "localhost",
        Err(_) => false,
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            security,
            ..
        } = self;
        write!(f, "SmtpUrl({host}:{port}, {security:?}, …)")
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn parsed(text: &str) -> (String, u16, Security) {
        let url: SmtpUrl = text.parse().unwrap();
        (url.host, url.port, url.security)
    }

    #[test]
    fn scheme_and_parameter_choose_protection_and_port() {
        use Security::{Clear, Implicit, Opportunistic, Starttls};
        for (text, host, port, security) in [
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, Clear),
            ("smtp://relay.example", "relay.example", 25, Clear),
            ("smtp://[::1]:1025", "::1", 1025, Clear),
            (
                "smtp://relay.example?tls=required",
                "relay.example",
                587,
                Starttls,
            ),
            (
                "smtp://relay.example:2525?tls=opportunistic",
                "relay.example",
                2525,
                Opportunistic,
            ),
            ("smtps://relay.example", "relay.example", 465, Implicit),
        ] {
            assert_eq!(parsed(text), (host.to_owned(), port, security), "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let url: SmtpUrl = "smtps://a%40b.example:p%23w%C3%A9@relay.example/mail.example"
            .parse()
            .unwrap();
        let (user, password) = url.credentials.as_ref().unwrap();
        assert_eq!(
            (user.as_str(), password.expose_secret()),
            ("a@b.example", "p#wé")
        );
        assert_eq!(url.hello.as_deref(), Some("mail.example"));
        assert_eq!(
            format!("{url:?}"),
            "SmtpUrl(relay.example:465, Implicit, …)"
        );
    }

    #[test]
    fn a_password_never_crosses_the_network_in_the_clear() {
        for open in [
            "smtp://u:p@relay.example",
            "smtp://u:p@relay.example?tls=opportunistic",
        ] {
            let problem = open.parse::<SmtpUrl>().unwrap_err().to_string();
            assert!(problem.contains("password"), "{problem}");
        }
        for local in [
            "smtp://u:p@127.0.0.1:1025",
            "smtp://u:p@localhost",
            "smtp://u:p@[::1]",
        ] {
            assert!(local.parse::<SmtpUrl>().is_ok(), "{local}");
        }
    }

    #[test]
    fn what_is_no_relay_is_refused_without_repeating_it() {
        for bad in [
            "",
            "relay.example",
            "http://relay.example",
            "smtp://",
            "smtp:relay.example",
            "smtps://user@relay.example",
            "smtps://:secret@relay.example",
            "smtps://relay.example?tls=required",
            "smtp://relay.example?tls=maybe",
            "smtp://relay.example?ssl=1",
            "smtp://relay.example?tls=required&tls=required",
            "smtps://u:sec#ret@relay.example",
            "smtp://relay.example:99999",
            "smtp://relay.example/a%0d%0ab",
        ] {
            let problem = bad.parse::<SmtpUrl>().unwrap_err().to_string();
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
