//! The tables of `docs/proofs.md`.

use std::fmt::Write as _;
use std::fs;

use crate::equivalent;
use crate::results::{self, LUA, RUST, Results, RustResult, ScriptResult};
use crate::say;
use crate::script::root;

const PAGE: &str = "docs/proofs.md";
const START: &str = "<!-- mutants: written by scripts/mutants --report -->\n";
const END: &str = "<!-- end of mutants -->\n";

/// Writes the tables of the saved results into the page, and prints them.
pub(crate) fn write() -> Result<bool, String> {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).map_err(|error| format!("{PAGE}: {error}"))?;
    let tables = tables()?;
    let (before, after) = around(&page)?;
    let new = [before, START, &tables, END, after].concat();
    fs::write(&path, new).map_err(|error| format!("{PAGE}: {error}"))?;
    say(&tables);
    Ok(true)
}

/// The page before and after the tables.
fn around(page: &str) -> Result<(&str, &str), String> {
    let places = page.split_once(START);
    let places = places.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    places.ok_or_else(|| format!("{PAGE} has no place for the tables"))
}

fn tables() -> Result<String, String> {
    let lua = lua_table(&results::read(LUA)?);
    let rust = rust_table(&results::read(RUST)?);
    let reasons = reasons()?;
    Ok(format!("\n{lua}\n{reasons}\n{rust}\n"))
}

fn lua_table(results: &Results<ScriptResult>) -> String {
    let mut table =
        "| script | mutants | caught | equivalent | survive |\n|---|---|---|---|---|\n".to_owned();
    let mut sum = ScriptResult::default();
    for (name, result) in results {
        row(&mut table, &format!("`{name}.lua`"), result);
        sum.mutants += result.mutants;
        sum.caught += result.caught;
        sum.equivalent += result.equivalent;
        sum.survivors.extend(result.survivors.iter().cloned());
    }
    row(&mut table, "all", &sum);
    for (name, result) in results {
        for survivor in &result.survivors {
            writeln!(table, "\nSurvives in `{name}.lua`: {survivor}")
                .expect("writing to a String does not fail");
        }
    }
    table
}

fn row(table: &mut String, name: &str, result: &ScriptResult) {
    let ScriptResult {
        mutants,
        caught,
        equivalent,
        survivors,
        ..
    } = result;
    writeln!(
        table,
        "| {name} | {mutants} | {caught} | {equivalent} | {} |",
        survivors.len()
    )
    .expect("writing to a String does not fail");
}

/// The equivalent mutants by reason.
fn reasons() -> Result<String, String> {
    let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
    for ((script, mutant), reason) in equivalent::read()? {
        let file = if equivalent::is_rust(&script) {
            ""
        } else {
            ".lua"
        };
        let text = format!("`{script}{file}`: {mutant}");
        match by_reason.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, mutants)) => mutants.push(text),
            None => by_reason.push((reason, vec![text])),
        }
    }
    let mut list = "Equivalent mutants, by reason:\n\n".to_owned();
    for (reason, mutants) in by_reason {
        writeln!(list, "- {reason}").expect("writing to a String does not fail");
        for mutant in mutants {
            writeln!(list, "  - {mutant}").expect("writing to a String does not fail");
        }
    }
    Ok(list)
}

fn rust_table(results: &Results<RustResult>) -> String {
    let mut table =
        "| Rust code | mutants | do not compile | have no switch | caught | of these by a timeout | equivalent | survive | caught of the viable |\n|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for (name, result) in results {
        let caught = result.caught + result.timeouts;
        let viable = result.mutants - result.unviable - result.unswitched;
        let percent = (caught * 100).checked_div(viable).unwrap_or(100);
        writeln!(
            table,
            "| {name} | {} | {} | {} | {caught} | {} | {} | {} | {percent} % |",
            result.mutants,
            result.unviable,
            result.unswitched,
            result.timeouts,
            result.equivalent,
            result.survivors.len()
        )
        .expect("writing to a String does not fail");
    }
    for (name, result) in results {
        for survivor in &result.survivors {
            writeln!(table, "\nSurvives in {name}: {survivor}")
                .expect("writing to a String does not fail");
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutate::{mutants, names};
    use crate::script;

    #[test]
    fn the_page_shows_the_saved_results() {
        let page = fs::read_to_string(root().join(PAGE)).unwrap();
        let (before, after) = around(&page).unwrap();
        let shown = &page[before.len() + START.len()..page.len() - after.len() - END.len()];
        assert_eq!(shown, tables().unwrap(), "run `scripts/mutants --report`");
    }

    #[test]
    fn every_mutant_of_a_script_is_a_script() {
        for script in script::all() {
            let found = mutants(&script.text).unwrap();
            assert!(!found.is_empty(), "{}", script.name());
            for mutant in found {
                let text = mutant.apply(&script.text);
                assert_ne!(text, script.text);
                mutants(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", script.name()));
            }
        }
    }

    #[test]
    fn the_saved_results_are_about_the_present_scripts() {
        let saved: Results<ScriptResult> = results::read(LUA).unwrap();
        let scripts = script::all();
        let names: Vec<String> = scripts.iter().map(script::Script::name).collect();
        assert!(
            saved.keys().eq(sorted(&names)),
            "run `scripts/mutants lua`, then `scripts/mutants --report`"
        );
        for script in scripts {
            let result = &saved[&script.name()];
            assert_eq!(
                result.digest,
                script.digest(),
                "{}.lua has changed: run `scripts/mutants lua`, then `scripts/mutants --report`",
                script.name()
            );
        }
    }

    fn sorted(names: &[String]) -> Vec<&String> {
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        sorted
    }

    #[test]
    fn every_equivalent_mutant_that_is_listed_exists() {
        let scripts = script::all();
        let listed = equivalent::read().unwrap();
        for (script, mutant) in listed
            .into_keys()
            .filter(|(place, _)| !equivalent::is_rust(place))
        {
            let text = scripts.iter().find(|one| one.name() == script);
            let text = &text.unwrap_or_else(|| panic!("no script {script}")).text;
            let found = names(text, &mutants(text).unwrap());
            assert!(found.contains(&mutant), "{script}: {mutant}");
        }
    }
}
