//! `msctl user`.

use std::io::{IsTerminal, Read};

use clap::Subcommand;
use serde_json::{Value, json};

use super::command::{CommandError, FormatArgs, switch};
use crate::auth::accounts::{Account, NewAccount};
use crate::model::exit::ExitCode;
use crate::model::route::Scope;
use crate::ops::{Context, OpsError, user};
use crate::store::Secret;
use crate::ui::printer::{Format, Printer};

#[derive(Debug, Subcommand)]
pub enum User {
    /// Add an account; its password is read from standard input
    #[command(after_help = "\
Examples:
  printf %s \"$PASSWORD\" | msctl user add ann@example.com --name Ann
  msctl user add ops@example.com --name Ops --scope admin < password.txt")]
    Add {
        /// The email that the account logs in with
        email: String,
        /// The name that it is shown by
        #[arg(long, env = "MSCTL_USER_NAME", value_name = "NAME")]
        name: String,
        /// What its tokens allow; may be given several times
        #[arg(long = "scope", env = "MSCTL_SCOPE", value_name = "SCOPE", value_delimiter = ' ')]
        scopes: Vec<Scope>,
        /// Read the password from standard input (the only way; said for scripts to be plain)
        #[arg(long, env = "MSCTL_PASSWORD_STDIN", value_parser = switch)]
        password_stdin: bool,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show every account
    #[command(after_help = "Examples:\n  msctl user list\n  msctl user list --format json")]
    List {
        #[command(flatten)]
        format: FormatArgs,
    },
}

pub async fn run(user: User, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    match user {
        User::Add { email, name, scopes, format, .. } => {
            let password = read_password(printer)?;
            let new = NewAccount { name, email, password, scopes: scopes.into_iter().collect() };
            let account = user::add(context, new).await?;
            match format.format {
                Format::Text => printer.data(&account.id)?,
                form => {
                    let document = json!({"schema": "msctl.user/1", "account": document(&account)});
                    printer.document(form, &document)?;
                }
            }
        }
        User::List { format } => {
            let accounts = user::list(context).await?;
            match format.format {
                Format::Text => {
                    printer.table(&["id", "email", "name", "scopes"], accounts.iter().map(row).collect())?
                }
                form => {
                    let accounts: Vec<Value> = accounts.iter().map(document).collect();
                    printer.document(form, &json!({"schema": "msctl.users/1", "accounts": accounts}))?;
                }
            }
        }
    }
    Ok(ExitCode::Ok)
}

/// The first line of standard input; never an argument, which every process can see.
fn read_password(printer: &Printer) -> Result<Secret, CommandError> {
    if std::io::stdin().is_terminal() {
        printer.say("type the password, then Enter (it is shown; pipe it in to avoid that)");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        return Ok(Secret::new(line.trim_end_matches(['\r', '\n'])));
    }
    let mut text = String::new();
    let read = std::io::stdin().take(64 * 1024).read_to_string(&mut text);
    read.map_err(OpsError::io("read the password from standard input"))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

fn row(account: &Account) -> Vec<String> {
    vec![account.id.clone(), account.email.clone(), account.name.clone(), scopes(account).join(" ")]
}

fn document(account: &Account) -> Value {
    json!({
        "id": account.id,
        "email": account.email,
        "name": account.name,
        "scopes": scopes(account),
        "created_at": humantime::format_rfc3339_seconds(account.created_at).to_string(),
    })
}

fn scopes(account: &Account) -> Vec<String> {
    account.scopes.iter().map(ToString::to_string).collect()
}
