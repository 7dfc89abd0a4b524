"""The paper's experiments: segmenters with and without generated hearts, and their tables. docs/experiments.md."""
