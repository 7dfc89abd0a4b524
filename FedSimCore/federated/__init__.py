"""Several sites learn one model, and only updates of its shared part leave home; docs/federated.md."""
