"""Functions over the MRML scene: what goes to the worker, and what comes back. No Qt here."""
