use super::{json, table};
use sepconv::kernels;

#[test]
fn every_table_of_kernels_is_listed() {
    let report = json(["isa"]);
    let compiled = report["compiled"].as_array().unwrap();
    assert_eq!(compiled.len(), kernels::ALL.len());
    let available = report["available"].as_array().unwrap();
    assert!(available.contains(&report["chosen"]) && available.contains(&"reference".into()));
    assert_eq!(report["chosen"], kernels::best().name);
    let printed = table(["isa"]);
    assert!(
        kernels::ALL.iter().all(|kernels| printed.contains(kernels.name)),
        "{printed}"
    );
}
