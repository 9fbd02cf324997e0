//! Holds the house: arrows, sizes, doors, words, dependencies, commits, and files that are generated.

mod house {
    mod arrows;
    mod commits;
    mod dependencies;
    mod doors;
    mod sizes;
    mod words;
}
