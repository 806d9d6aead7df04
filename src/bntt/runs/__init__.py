"""Run folders: what a run leaves behind, what it learned from, how it is opened."""
