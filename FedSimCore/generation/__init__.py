"""Hearts from a trained model: its files, and what is made with it. docs/generative.md tells how."""
