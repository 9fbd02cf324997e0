//! Holds the house: arrows, sizes, doors, words, dependencies, commits, recorded mutations.

mod house {
    mod arrows;
    mod commits;
    mod dependencies;
    mod doors;
    mod mutations;
    mod sizes;
    mod words;
}
