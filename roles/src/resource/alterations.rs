//! What a list of changing steps may alter: the first of them is found by what it makes, without asking each.

use super::effect::packages_alter;
use super::{Effect, Standing};
use crate::words::AbsPath;
use std::collections::HashMap;

/// Who makes something: the first wins.
type First<K> = HashMap<K, usize>;

/// Effects and the numbers of the steps that have them, in rising order.
#[derive(Debug, Clone, Default)]
pub struct Alterations {
    /// The first of all, whatever it makes.
    any: Option<usize>,
    everything: Option<usize>,
    packaged: Option<usize>,
    unit: Option<usize>,
    /// What alters only its like.
    like: First<Effect>,
    paths: Paths,
    directories: Paths,
    /// Files of nobody's concern but who made them.
    own: First<AbsPath>,
}

/// Paths that are made, and all that stand above them.
#[derive(Debug, Clone, Default)]
struct Paths {
    made: First<AbsPath>,
    above: First<AbsPath>,
}

impl Paths {
    fn add(&mut self, path: &AbsPath, by: usize) {
        self.made.entry(path.clone()).or_insert(by);
        for above in up_from(path) {
            if self.above.contains_key(&above) {
                // Then all further up are there too, from an earlier one.
                return;
            }
            self.above.insert(above, by);
        }
    }
    /// The first that is the path, or stands below it.
    fn within(&self, path: &AbsPath) -> Option<usize> {
        self.above.get(path).copied()
    }
    /// The first that is the path, or stands above it.
    fn around(&self, path: &AbsPath) -> Option<usize> {
        up_from(path).filter_map(|above| self.made.get(&above).copied()).min()
    }
}

/// The path itself, its directory, and so on to the root.
fn up_from(path: &AbsPath) -> impl Iterator<Item = AbsPath> {
    std::iter::successors(Some(path.clone()), AbsPath::parent)
}

impl Alterations {
    /// Adds what a step makes; later steps have higher numbers.
    pub fn add(&mut self, effect: Effect, by: usize) {
        self.any.get_or_insert(by);
        match effect {
            Effect::Everything => _ = self.everything.get_or_insert(by),
            Effect::Packaged => _ = self.packaged.get_or_insert(by),
            Effect::Path(path) => self.paths.add(&path, by),
            effect @ (Effect::Directory(_)
            | Effect::Own(_)
            | Effect::Unit(_)
            | Effect::User(_)
            | Effect::Group(_)
            | Effect::Package(_)
            | Effect::Kernel
            | Effect::Answers) => {
                match &effect {
                    Effect::Directory(path) => self.directories.add(path, by),
                    Effect::Own(path) => _ = self.own.entry(path.clone()).or_insert(by),
                    Effect::Unit(_) => _ = self.unit.get_or_insert(by),
                    _ => {}
                }
                self.like.entry(effect).or_insert(by);
            }
        }
    }

    /// The first step whose effects may alter this, for a resource that stands so: the same answer as [`Effect::alters`] gives of each.
    pub fn first(&self, needed: &Effect, standing: Standing) -> Option<usize> {
        let impossible = standing == Standing::Impossible;
        let own = match needed {
            Effect::Everything | Effect::Packaged => self.any,
            Effect::User(_) | Effect::Group(_) if standing == Standing::Absent => None,
            Effect::Path(path) => {
                let around = if impossible { self.directories.around(path) } else { None };
                let own = up_from(path).filter_map(|above| self.own.get(&above).copied()).min();
                [self.paths.within(path), self.paths.around(path), self.directories.within(path), around, own].into_iter().flatten().min()
            }
            Effect::Answers => self.like.get(needed).copied().into_iter().chain(self.unit.filter(|_| impossible)).min(),
            Effect::Unit(unit) => {
                // It is read by its name, so all that was made is asked; few units are not known.
                let files = self.paths.made.iter().filter(|(path, _)| impossible && unit.is_made_by(path)).map(|(_, by)| *by);
                files.chain(self.like.get(needed).copied()).min()
            }
            Effect::Directory(_) | Effect::Own(_) | Effect::User(_) | Effect::Group(_) | Effect::Package(_) | Effect::Kernel => {
                self.like.get(needed).copied()
            }
        };
        let packaged = self.packaged.filter(|_| packages_alter(needed, standing));
        [own, packaged, self.everything].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{AccountName, PackageName, UnitName};
    use proptest::prelude::*;

    fn effect() -> impl Strategy<Value = Effect> {
        let path = prop_oneof![
            Just("/"),
            Just("/srv"),
            Just("/srv/a"),
            Just("/srv/a/b"),
            Just("/srv/ab"),
            Just("/home/ci"),
            Just("/usr/local/x"),
            Just("/etc/systemd/system/nginx.service")
        ];
        let account = || prop_oneof![Just("ci"), Just("root")].prop_map(|name| AccountName::parse(name).unwrap());
        prop_oneof![
            path.clone().prop_map(|path| Effect::Path(AbsPath::parse(path).unwrap())),
            path.clone().prop_map(|path| Effect::Own(AbsPath::parse(path).unwrap())),
            path.prop_map(|path| Effect::Directory(AbsPath::parse(path).unwrap())),
            account().prop_map(Effect::User),
            account().prop_map(Effect::Group),
            Just(Effect::Unit(UnitName::parse_service("nginx").unwrap())),
            prop_oneof![Just("git"), Just("curl")].prop_map(|name| Effect::Package(PackageName::parse(name).unwrap())),
            Just(Effect::Kernel),
            Just(Effect::Answers),
            Just(Effect::Packaged),
            Just(Effect::Everything),
        ]
    }

    proptest! {
        #[test]
        fn the_first_is_the_one_that_each_effect_by_itself_names(made in prop::collection::vec(effect(), 0..12), needed in effect()) {
            let mut alterations = Alterations::default();
            for (by, effect) in made.iter().enumerate() {
                alterations.add(effect.clone(), by);
            }
            for standing in [Standing::AsDesired, Standing::Absent, Standing::Otherwise, Standing::Impossible] {
                let asked = made.iter().position(|effect| effect.alters(&needed, standing));
                prop_assert_eq!(alterations.first(&needed, standing), asked, "{:?} {:?}", needed, standing);
            }
        }
    }
}
