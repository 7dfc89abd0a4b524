"""NVFlare carries the messages; nothing else of the project knows it. Needs the extra ``federated``."""
