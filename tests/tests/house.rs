//! Holds the house: arrows, sizes, doors, words, dependencies, commits, formatting, recorded mutations.

mod house {
    mod arrows;
    mod circles;
    mod commits;
    mod decisions;
    mod dependencies;
    mod doors;
    mod format;
    mod hints;
    mod mutations;
    mod names;
    mod sizes;
    mod words;
}
