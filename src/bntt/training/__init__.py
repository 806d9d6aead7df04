"""One recipe to one run folder."""
