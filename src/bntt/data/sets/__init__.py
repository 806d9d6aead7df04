"""One file for every set: what lies in its folder, how it is checked, who tests."""
