//! The contents of a wheel as an HTML page: a template with the JSON output of the command in it.

use std::path::Path;

use crate::stages::inventory::Inventory;
use jnumpy_base::text::printable;
use jnumpy_base::write_files;

const TEMPLATE: &str = include_str!("page.html");
/// Where the data goes in the template.
const DATA: &str = "{{data}}";
const TITLE: &str = "{{title}}";

pub(super) fn write(inventory: &Inventory, path: &Path) -> std::io::Result<()> {
    let json = serde_json::to_string(inventory)?;
    let title = match (&inventory.wheel, &inventory.distribution) {
        (Some(wheel), _) => wheel.clone(),
        (None, Some(distribution)) => format!("{} {}", distribution.name, distribution.version),
        (None, None) => inventory.bundle.as_ref().map(|bundle| bundle.package.clone()).unwrap_or_default(),
    };
    let (head, rest) = TEMPLATE.split_once(TITLE).unwrap_or((TEMPLATE, ""));
    let (middle, end) = rest.split_once(DATA).unwrap_or((rest, ""));
    // Only `<` can end a script, and only `&` and `<` are special in a title.
    let json = json.replace('<', "\\u003c");
    let title = printable(&title).replace('&', "&amp;").replace('<', "&lt;");
    write_files([(path, [head, &title, middle, &json, end].concat())])
}
