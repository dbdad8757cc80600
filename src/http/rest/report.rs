//! The declaration of a report's route. Its route, its entry in the list of reports, and its part of the `OpenAPI`
//! description are made from it.

use serde_json::{Value, json};

use crate::{
    access::Scope,
    http::rest::{
        parameters::Parameter,
        table::{FORMATS, Heading},
    },
};

/// A report's route.
#[derive(Debug)]
pub(in crate::http) struct Report {
    /// The last part of its path, and the beginning of the name of saved files.
    pub(in crate::http) name: &'static str,
    /// Its description, in a sentence or two.
    pub(in crate::http) about: &'static str,
    pub(in crate::http) parameters: &'static [&'static [Parameter]],
    pub(in crate::http) columns: fn() -> Vec<Heading>,
    /// The schema of its JSON where that is the legacy service's map; none where the JSON is a list of rows.
    pub(in crate::http) legacy: Option<fn() -> Value>,
    /// The scope that every request for it needs.
    pub(in crate::http) scope: Scope,
    /// Whether it is a list of members. A list is sent while it is read. It needs the scope `members`, except a request
    /// without parameters for JSON where the report is a legacy report.
    pub(in crate::http) is_list: bool,
}

impl Report {
    pub(in crate::http) fn path(&self) -> String {
        format!("/api/reports/{}", self.name)
    }

    /// Its entry in the list of reports.
    pub(in crate::http) fn listed(&self) -> Value {
        let parameters = self.parameters.iter().copied().flatten().map(|parameter| parameter.name);
        json!({
            "path": self.path(),
            "name": self.name,
            "about": self.about,
            "parameters": parameters.collect::<Vec<_>>(),
            "columns": (self.columns)().iter().map(|column| column.name).collect::<Vec<_>>(),
            "formats": FORMATS,
        })
    }
}
