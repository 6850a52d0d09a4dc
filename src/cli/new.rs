//! `msctl new`.

use std::path::PathBuf;

use clap::Subcommand;

use super::command::{CommandError, switch};
use crate::model::exit::ExitCode;
use crate::ops::Context;
use crate::ops::new::{self, Draft, Templates};
use crate::ui::printer::{Printer, Style};

#[derive(Debug, Subcommand)]
pub enum New {
    /// Write a new platform into a folder of its name
    #[command(after_help = "Examples:\n  msctl new platform shop\n  msctl new platform shop --plan")]
    Platform {
        /// 1 to 40 of a-z, 0-9 and "-", starting with a letter
        name: String,
        /// Show the files without writing any
        #[arg(long, env = "MSCTL_PLAN", value_parser = switch)]
        plan: bool,
    },
    /// Write a new service into the platform, from a template
    #[command(after_help = "\
Examples:
  msctl new service orders --template rust-axum
  msctl new service rates --template python-fastapi --plan
  msctl new service carts --template ./templates/house-style

Templates: rust-axum, python-fastapi, node-fastify, or the path of a template's folder.")]
    Service {
        /// 1 to 40 of a-z, 0-9 and "-", starting with a letter
        name: String,
        /// A template's name, or the path of its folder
        #[arg(short, long, env = "MSCTL_TEMPLATE", value_name = "TEMPLATE")]
        template: String,
        /// A folder of more templates
        #[arg(long, env = "MSCTL_TEMPLATE_DIR", value_name = "DIR")]
        template_dir: Option<PathBuf>,
        /// Show the files without writing any
        #[arg(long, env = "MSCTL_PLAN", value_parser = switch)]
        plan: bool,
    },
}

pub fn run(new: &New, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let (draft, plan) = match new {
        New::Platform { name, plan } => (new::platform(context, name)?, *plan),
        New::Service { name, template, template_dir, plan } => {
            let templates = Templates { folder: template_dir.clone() };
            (new::service(context, name, template, &templates)?, *plan)
        }
    };
    if plan {
        return show(&draft, printer);
    }
    let files = draft.plan.files.len();
    new::commit(&draft)?;
    let target = draft.into.join(&draft.plan.target);
    printer.say(&format!("{} {} ({files} files)", printer.paint(Style::Good, "created"), target.display()));
    next_step(new, printer);
    Ok(ExitCode::Ok)
}

fn show(draft: &Draft, printer: &Printer) -> Result<ExitCode, CommandError> {
    draft.plan.to_string().lines().try_for_each(|line| printer.data(line)).map_err(CommandError::from)?;
    printer.say("nothing was written");
    Ok(ExitCode::Ok)
}

fn next_step(new: &New, printer: &Printer) {
    match new {
        New::Platform { name, .. } => {
            printer.say(&format!("next: cd {name} && msctl new service orders --template rust-axum"));
        }
        New::Service { name, .. } => {
            printer.say(&format!(
                "next: msctl up, then call /{name} with a token from: msctl token issue --subject me"
            ));
        }
    }
}
