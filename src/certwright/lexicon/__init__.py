"""The library dns-lexicon: which providers it has, what each needs to know, and a process in which one works."""
