//! Names of companies and people, their domains and addresses.

use super::company::Company;
use super::dice::{Stream, mix};

const FIRST_WORDS: [&str; 48] = [
    "Acorn", "Alder", "Amber", "Anchor", "Apex", "Atlas", "Aurora", "Beacon", "Birch", "Blue", "Bright", "Cedar",
    "Cobalt", "Copper", "Coral", "Crest", "Delta", "Ember", "Falcon", "Fern", "Flint", "Forge", "Garnet", "Granite",
    "Harbor", "Hazel", "Indigo", "Iron", "Juniper", "Keystone", "Lark", "Linden", "Lumen", "Maple", "Meridian",
    "Nimbus", "North", "Onyx", "Orchard", "Pioneer", "Quartz", "Raven", "Ridge", "Sable", "Summit", "Tidal", "Vector",
    "Willow",
];
const SECOND_WORDS: [&str; 40] = [
    "bank", "bay", "bridge", "brook", "craft", "dale", "field", "flow", "ford", "gate", "grid", "grove", "haven",
    "hill", "house", "lake", "land", "light", "line", "mark", "mill", "mind", "path", "peak", "point", "port", "post",
    "reach", "rock", "root", "side", "span", "spring", "stack", "stone", "view", "wave", "way", "wood", "works",
];
const KINDS: [&str; 10] =
    ["Analytics", "Foods", "Group", "Health", "Labs", "Logistics", "Media", "Partners", "Systems", "Software"];
const GIVEN_NAMES: [&str; 48] = [
    "aisha", "alex", "amara", "anna", "ben", "bruno", "carla", "chen", "claire", "daniel", "diego", "elena", "emma",
    "farah", "felix", "grace", "hana", "hugo", "ines", "ivan", "jack", "jonas", "julia", "kai", "karim", "laura",
    "leo", "lina", "lucas", "maria", "maya", "mia", "nina", "noah", "nora", "olga", "omar", "paula", "priya", "rafael",
    "rosa", "sam", "sara", "sofia", "theo", "tomas", "yuki", "zoe",
];
const FAMILY_NAMES: [&str; 40] = [
    "adams", "ahmed", "baker", "bauer", "bell", "brown", "carter", "costa", "cruz", "davis", "diaz", "evans",
    "fischer", "garcia", "gray", "haas", "hill", "ito", "jansen", "jones", "kaya", "keller", "khan", "kim", "klein",
    "lee", "lopez", "martin", "meyer", "moore", "novak", "patel", "reed", "rossi", "santos", "silva", "smith",
    "tanaka", "weber", "young",
];
/// Mail services that say nothing about a company.
pub const FREE_MAIL: [&str; 6] = ["gmail.com", "outlook.com", "yahoo.com", "icloud.com", "proton.me", "gmx.de"];

/// Names that differ without a number.
const NAMES: u64 = (FIRST_WORDS.len() * SECOND_WORDS.len() * KINDS.len()) as u64;
/// A step through all names that shares no factor with their number, so that each comes once.
const NAME_STEP: u64 = 7_919;

fn words(company: &Company, index: u64) -> (&'static str, &'static str, &'static str, u64) {
    let offset = mix(company.seed ^ Stream::Names as u64) % NAMES;
    let place = ((index % NAMES) * NAME_STEP + offset) % NAMES;
    let (first, rest) = (place as usize % FIRST_WORDS.len(), place as usize / FIRST_WORDS.len());
    let (second, kind) = (rest % SECOND_WORDS.len(), rest / SECOND_WORDS.len());
    (FIRST_WORDS[first], SECOND_WORDS[second], KINDS[kind], index / NAMES)
}

/// Returns the name of a company; different for each number.
pub fn company_name(company: &Company, index: u64) -> String {
    let (first, second, kind, round) = words(company, index);
    if round == 0 { format!("{first}{second} {kind}") } else { format!("{first}{second} {kind} {}", round + 1) }
}

/// Returns the domain of a company; different for each number.
pub fn domain(company: &Company, index: u64) -> String {
    let (first, second, kind, round) = words(company, index);
    let mut domain = format!("{first}{second}-{kind}");
    domain.make_ascii_lowercase();
    if round > 0 {
        domain.push_str(&(round + 1).to_string());
    }
    domain.push_str(".com");
    domain
}

/// Returns the part before the `@` of the address of a person of a company.
pub fn mailbox(company: &Company, index: u64, person: u64) -> String {
    let drawn = mix(mix(company.seed ^ (Stream::People as u64)) ^ (index << 8) ^ person);
    let given = GIVEN_NAMES[(drawn % 48) as usize];
    let family = FAMILY_NAMES[(drawn / 48 % 40) as usize];
    match person {
        0 => format!("{given}.{family}"),
        _ => format!("{given}.{family}{person}"),
    }
}

/// Returns the private address of a person, at a free mail service.
pub fn private_address(company: &Company, index: u64, person: u64) -> String {
    let service = FREE_MAIL[(mix(company.seed ^ index) % FREE_MAIL.len() as u64) as usize];
    format!("{}.{}@{service}", mailbox(company, index, person), index + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::SampleOptions;
    use super::*;

    #[test]
    fn every_company_has_a_name_and_a_domain_of_its_own() {
        let company = Company::new(&SampleOptions { accounts: 50_000, months: 3, seed: 7 });
        let domains: HashSet<_> = (0..50_000).map(|index| domain(&company, index)).collect();
        let names: HashSet<_> = (0..50_000).map(|index| company_name(&company, index)).collect();
        assert_eq!((domains.len(), names.len()), (50_000, 50_000));
    }
}
