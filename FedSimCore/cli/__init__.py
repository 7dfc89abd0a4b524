"""The command `fedsim`; one file per noun, each thin over its room."""
