"""The command line: one file for every command, its printing beside it."""
