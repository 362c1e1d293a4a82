//! Where the programs' databases are, as `harkara up` has them.

use std::path::Path;

use url::Url;

/// The `DATABASE_URL` of a program: a schema of its own in the `PostgreSQL` that is given, or a file of its own in the folder.
pub(crate) fn url_of(program: &str, postgres: Option<&Url>, folder: &Path) -> String {
    let Some(url) = postgres else {
        return format!("sqlite://{}/{program}.db", folder.display());
    };
    let mut url = url.clone();
    let schema = program.replace('-', "_");
    url.query_pairs_mut()
        .append_pair("options[search_path]", &schema);
    url.into()
}
