//! `msctl tls`.

use clap::Subcommand;
use serde_json::json;

use super::command::{CommandError, FormatArgs};
use crate::model::exit::ExitCode;
use crate::ops::Context;
use crate::ops::tls::{self, Trust};
use crate::ui::printer::{Format, Printer};

#[derive(Debug, Subcommand)]
pub enum Tls {
    /// Say how to trust the certificates that msctl makes, and change nothing
    #[command(after_help = "\
A platform with tls = \"local\" under [gateway] in msctl.toml proves who it is with a certificate
of an authority that msctl keeps on this machine. It signs for localhost, for names below it and for
loopback addresses, and for nothing else.

Examples:
  msctl tls trust
  msctl tls trust --format json | jq -r .certificate")]
    Trust {
        #[command(flatten)]
        format: FormatArgs,
    },
}

pub fn run(tls: &Tls, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let Tls::Trust { format } = tls;
    let trust = tls::trust(context)?;
    match format.format {
        Format::Text => printer.data(&instructions(&trust))?,
        other => printer.document(other, &document(&trust))?,
    }
    Ok(ExitCode::Ok)
}

fn document(trust: &Trust) -> serde_json::Value {
    json!({
        "schema": "msctl.tls/1",
        "certificate": trust.certificate,
        "fingerprint": trust.fingerprint,
    })
}

/// Each command can be copied as it stands.
fn instructions(trust: &Trust) -> String {
    let path = quoted(&trust.certificate.to_string_lossy());
    format!(
        "\
certificate  {path}
SHA-256      {}

Nothing has been changed. To trust it:

  Debian, Ubuntu   sudo cp {path} /usr/local/share/ca-certificates/msctl.crt && sudo update-ca-certificates
  Fedora           sudo cp {path} /etc/pki/ca-trust/source/anchors/msctl.pem && sudo update-ca-trust
  macOS            sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {path}
  Firefox, Chrome  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n msctl -i {path}
                   (Firefox: the folder of its profile in place of $HOME/.pki/nssdb, or import it under
                   Settings, Certificates, Authorities)

For one program alone:

  curl             curl --cacert {path} https://localhost:8443/
  Node             export NODE_EXTRA_CA_CERTS={path}
  Python           export REQUESTS_CA_BUNDLE={path} SSL_CERT_FILE={path}",
        trust.fingerprint
    )
}

/// For a shell, where it needs that.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
